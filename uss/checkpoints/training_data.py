"""What the authors of published weights say that they were trained on."""

from __future__ import annotations

AUDIOSET = (
    "AudioSet (Google): two million excerpts of YouTube videos of ten seconds with labels; the "
    "labels are CC BY 4.0, the sound is under the terms of its uploaders"
)
AUDIOSET_BALANCED = f"the balanced part, 22,000 excerpts, of {AUDIOSET}"
EFFICIENTAT = f"{AUDIOSET}; by distillation of transformers, after ImageNet"
AUDIOSEP = (
    "AudioSet, VGGSound, AudioCaps, Clotho and WavCaps: videos of YouTube and "
    "sounds of Freesound and others, under the terms of their uploaders"
)
HIVE = (
    "Hive: 2,442 hours of recordings from public collections, mixed 19.6 million times; the "
    "recordings keep the terms of their collections"
)
AUDIOCAPS = "AudioCaps: 50,000 captioned excerpts of AudioSet, under the terms of their uploaders"
VGGSOUND = "VGGSound: 200,000 excerpts of YouTube videos, under the terms of their uploaders"
CLAP = (
    "LAION-Audio-630K, AudioSet, and sets of music and speech with captions, under the terms of "
    "their sources"
)
CLIP = "400 million pictures with captions from the internet, which its authors did not publish"
BOOKS = "BookCorpus and the English Wikipedia"
FLAN = "the Colossal Clean Crawled Corpus (C4), then 1,836 tasks with instructions (Flan 2022)"
FLOWSEP = (
    "1,680 hours of AudioCaps, VGGSound and WavCaps, under the terms of their uploaders, mixed in "
    "pairs"
)
WEB_TEXT = "the vocabulary of RoBERTa: BookCorpus, Wikipedia, CC-News, OpenWebText and Stories"
DEFAULT = (
    "1,468 freely licensed clips, three hours (CC BY 3.0 and 4.0, CC0, Apache-2.0, Pixabay, one CC "
    "BY-SA 3.0), 1,655 unlabelled ones and synthesised sounds; its tagger was taught by mn04_as, "
    "which was trained on AudioSet; docs/default-model.md lists the licences, and doubts"
)
TEXT = (
    "captions of AudioCaps (MIT) with labels of AudioSet (CC BY 4.0), words of WordNet (WordNet "
    "licence), word vectors of all-MiniLM-L6-v2 (Apache-2.0)"
)
