"""Which presets of the Fluid (R3) font stand for which AudioSet classes, and what they play.

Presets whose sound no class means, or that only imitate one (kalimba, celesta, orchestra hit,
voice-like pads, sound effects), are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

from sounds.beats import KIT, groove, rhythm, roll, shaken, steady, strokes
from sounds.harmony import (
    arpeggio,
    chords,
    droned,
    ensemble,
    pads,
    strums,
    two_hands,
)
from sounds.midi import Patch
from sounds.phrases import PhraseMaker, Pitches, bass_line, melody, sustained, tremolo

KEYS = (two_hands, melody, chords, arpeggio)
ORGAN = (two_hands, pads, melody, chords)
FRETS = (strums, strums, arpeggio, melody)
LEAD_GUITAR = (melody, strums, chords, melody)
BASS = (bass_line, bass_line, melody)
SOLO = (melody, melody, sustained)
SECTION = (ensemble, ensemble, pads, melody)
MALLETS = (melody, arpeggio, tremolo, two_hands)
SINGLE_LINE = (melody,)
SYNTH = (arpeggio, pads, melody, chords)
TAPPED = (rhythm, steady)
SHAKEN = (shaken, steady, rhythm)
STANDARD_KITS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 32, 33)
ACOUSTIC_KITS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 16, 17, 32)
MACHINES = (24, 25)


@dataclass(frozen=True)
class Instrument:
    """A sound of the font and its most specific AudioSet names; the first is its class.

    Attributes:
        key: Its name in groups and file names.
        names: AudioSet's.
        patches: Presets of the font, one drawn for each clip.
        pitches: The keys it plays, ascending.
        makers: What it plays, one drawn for each clip.
    """

    key: str
    names: tuple[str, ...]
    patches: tuple[Patch, ...]
    pitches: Pitches
    makers: tuple[PhraseMaker, ...]


def tuned(
    key: str,
    name: str,
    program: int,
    span: tuple[int, int],
    makers: tuple[PhraseMaker, ...],
    bank: int = 0,
    also: tuple[str, ...] = (),
) -> Instrument:
    """An instrument of pitches, from the lowest key of its range to the highest."""
    pitches = range(span[0], span[1] + 1)
    return Instrument(key, (name, *also), (Patch(program, bank),), pitches, makers)


def drums(
    key: str,
    name: str,
    kits: tuple[int, ...],
    pitches: tuple[int, ...],
    makers: tuple[PhraseMaker, ...],
    also: tuple[str, ...] = (),
) -> Instrument:
    """Keys of the drum channel in any of several kits."""
    patches = tuple(Patch(kit, is_drums=True) for kit in kits)
    return Instrument(key, (name, *also), patches, pitches, makers)


INSTRUMENTS: tuple[Instrument, ...] = (
    tuned("grand_piano", "Piano", 0, (33, 96), KEYS),
    tuned("bright_piano", "Piano", 1, (33, 96), KEYS),
    tuned("honky_tonk", "Piano", 3, (36, 91), KEYS),
    tuned("rhodes", "Electric piano", 4, (36, 88), KEYS),
    tuned("legend_ep", "Electric piano", 5, (36, 88), KEYS),
    tuned("detuned_ep", "Electric piano", 4, (36, 88), KEYS, bank=8),
    tuned("harpsichord", "Harpsichord", 6, (36, 84), KEYS),
    tuned("coupled_harpsichord", "Harpsichord", 6, (36, 84), KEYS, bank=8),
    tuned("clavinet", "Keyboard (musical)", 7, (36, 84), KEYS),
    tuned("drawbar_organ", "Hammond organ", 16, (36, 90), ORGAN),
    tuned("percussive_organ", "Hammond organ", 17, (36, 90), ORGAN),
    tuned("rock_organ", "Hammond organ", 18, (36, 90), ORGAN),
    tuned("detuned_organ", "Electronic organ", 16, (36, 90), ORGAN, bank=8),
    tuned("church_organ", "Organ", 19, (36, 91), ORGAN),
    tuned("church_organ_2", "Organ", 19, (36, 91), ORGAN, bank=8),
    tuned("reed_organ", "Organ", 20, (41, 86), ORGAN),
    tuned("accordion", "Accordion", 21, (48, 89), (melody, two_hands, pads, chords)),
    tuned("italian_accordion", "Accordion", 21, (48, 89), (two_hands, chords, melody), bank=8),
    tuned("bandoneon", "Accordion", 23, (45, 89), (melody, chords, two_hands)),
    tuned("harmonica", "Harmonica", 22, (60, 88), (melody, melody, sustained, chords)),
    tuned("nylon_guitar", "Acoustic guitar", 24, (40, 76), (arpeggio, strums, two_hands)),
    tuned("steel_guitar", "Acoustic guitar", 25, (40, 80), FRETS),
    tuned("twelve_string", "Acoustic guitar", 25, (40, 80), FRETS, bank=8),
    tuned("strummed_nylon", "Strum", 24, (40, 72), (strums,), also=("Acoustic guitar",)),
    tuned("strummed_steel", "Strum", 25, (40, 72), (strums,), also=("Acoustic guitar",)),
    tuned("jazz_guitar", "Electric guitar", 26, (40, 82), (melody, arpeggio, chords)),
    tuned("clean_guitar", "Electric guitar", 27, (40, 84), FRETS),
    tuned("palm_muted", "Electric guitar", 28, (40, 70), (bass_line, melody, chords)),
    tuned("overdriven", "Electric guitar", 29, (40, 84), LEAD_GUITAR),
    tuned("distorted", "Electric guitar", 30, (40, 84), LEAD_GUITAR),
    tuned("funk_guitar", "Electric guitar", 28, (40, 76), (strums, chords), bank=8),
    tuned("hawaiian_guitar", "Steel guitar, slide guitar", 26, (48, 84), SOLO, bank=8),
    tuned("fingered_bass", "Bass guitar", 33, (28, 55), BASS),
    tuned("picked_bass", "Bass guitar", 34, (28, 55), BASS),
    tuned("fretless_bass", "Bass guitar", 35, (28, 55), BASS),
    tuned("slap_bass", "Bass guitar", 36, (28, 55), BASS),
    tuned("pop_bass", "Bass guitar", 37, (28, 55), BASS),
    tuned("upright_bass", "Double bass", 32, (28, 55), BASS),
    tuned("contrabass", "Double bass", 43, (28, 52), (melody, bass_line)),
    tuned("violin", "Violin, fiddle", 40, (55, 96), SOLO),
    tuned("slow_violin", "Violin, fiddle", 40, (55, 93), SOLO, bank=8),
    tuned("fiddle", "Violin, fiddle", 110, (55, 91), (melody,)),
    tuned("viola", "Bowed string instrument", 41, (48, 84), SOLO),
    tuned("cello", "Cello", 42, (36, 74), SOLO),
    tuned("tremolo_strings", "String section", 44, (40, 86), SECTION),
    tuned("strings", "String section", 48, (36, 88), SECTION),
    tuned("slow_strings", "String section", 49, (36, 88), (ensemble, pads)),
    tuned("pizzicato", "Pizzicato", 45, (52, 91), (arpeggio, arpeggio, melody)),
    tuned("harp", "Harp", 46, (36, 96), (arpeggio, arpeggio, two_hands, melody)),
    tuned("timpani", "Timpani", 47, (38, 57), (rhythm, roll, strokes)),
    tuned("choir_ahh", "Choir", 52, (43, 79), SECTION),
    tuned("choir_ohh", "Choir", 53, (43, 79), SECTION),
    tuned("trumpet", "Trumpet", 56, (55, 84), SOLO),
    tuned("muted_trumpet", "Trumpet", 59, (55, 84), SOLO),
    tuned("trombone", "Trombone", 57, (40, 70), SOLO),
    tuned("tuba", "Brass instrument", 58, (29, 55), (melody, bass_line, sustained)),
    tuned("brass_section", "Brass instrument", 61, (45, 84), (chords, melody, pads)),
    tuned("french_horn", "French horn", 60, (41, 74), (melody, sustained, pads)),
    tuned("soprano_sax", "Saxophone", 64, (56, 87), SOLO),
    tuned("alto_sax", "Saxophone", 65, (49, 81), SOLO),
    tuned("tenor_sax", "Saxophone", 66, (44, 76), SOLO),
    tuned("baritone_sax", "Saxophone", 67, (36, 69), SOLO),
    tuned("oboe", "Wind instrument, woodwind instrument", 68, (58, 88), SOLO),
    tuned("english_horn", "Wind instrument, woodwind instrument", 69, (52, 81), SOLO),
    tuned("bassoon", "Wind instrument, woodwind instrument", 70, (34, 72), SOLO),
    tuned("recorder", "Wind instrument, woodwind instrument", 74, (60, 91), SOLO),
    tuned("clarinet", "Clarinet", 71, (50, 88), SOLO),
    tuned("piccolo", "Flute", 72, (74, 103), SOLO),
    tuned("flute", "Flute", 73, (60, 94), SOLO),
    tuned("pan_flute", "Flute", 75, (60, 91), SOLO),
    tuned("shakuhachi", "Flute", 77, (55, 84), SOLO),
    tuned("bagpipes", "Bagpipes", 109, (57, 81), (droned,)),
    tuned("sitar", "Sitar", 104, (48, 79), (melody, melody, arpeggio)),
    tuned("banjo", "Banjo", 105, (48, 84), (arpeggio, arpeggio, melody, strums)),
    tuned("mandolin", "Mandolin", 25, (55, 88), (tremolo, melody, arpeggio, strums), bank=16),
    tuned("ukulele", "Ukulele", 24, (60, 81), (strums, arpeggio, melody), bank=8),
    tuned("shamisen", "Plucked string instrument", 106, (50, 79), SINGLE_LINE),
    tuned("koto", "Zither", 107, (48, 84), (melody, arpeggio)),
    tuned("taisho_koto", "Zither", 107, (48, 84), (melody, tremolo), bank=8),
    tuned("dulcimer", "Zither", 15, (50, 86), (melody, tremolo, arpeggio)),
    tuned("glockenspiel", "Glockenspiel", 9, (79, 108), (melody, arpeggio)),
    tuned("vibraphone", "Vibraphone", 11, (53, 89), MALLETS),
    tuned("marimba", "Marimba, xylophone", 12, (45, 89), MALLETS),
    tuned("xylophone", "Marimba, xylophone", 13, (65, 104), (melody, arpeggio, tremolo)),
    tuned("steel_drums", "Steelpan", 114, (55, 86), (melody, tremolo, chords, arpeggio)),
    tuned("tubular_bells", "Tubular bells", 14, (60, 79), (melody, strokes)),
    tuned("square_lead", "Synthesizer", 80, (40, 88), SYNTH),
    tuned("saw_lead", "Synthesizer", 81, (40, 88), SYNTH),
    tuned("synth_strings", "Synthesizer", 50, (40, 88), SYNTH),
    tuned("synth_brass", "Synthesizer", 62, (40, 86), SYNTH),
    tuned("synth_bass", "Synthesizer", 38, (28, 60), BASS),
    tuned("fifths_lead", "Synthesizer", 86, (40, 84), SYNTH),
    tuned("fantasia", "Synthesizer", 88, (40, 88), SYNTH),
    tuned("polysynth", "Synthesizer", 90, (40, 88), SYNTH),
    tuned("sweep_pad", "Synthesizer", 95, (40, 88), SYNTH),
    drums("kit", "Drum kit", STANDARD_KITS, KIT, (groove,)),
    drums("machine", "Drum machine", MACHINES, KIT, (groove,)),
    drums("snare", "Snare drum", ACOUSTIC_KITS, (38, 40), (rhythm, rhythm, roll)),
    drums("snare_roll", "Drum roll", ACOUSTIC_KITS, (38,), (roll,), also=("Snare drum",)),
    drums("bass_drum", "Bass drum", ACOUSTIC_KITS, (35, 36), TAPPED),
    tuned("concert_bass_drum", "Bass drum", 116, (36, 52), (rhythm, strokes, roll), bank=8),
    drums("toms", "Drum", ACOUSTIC_KITS, (41, 43, 45, 47, 48, 50), (rhythm, roll)),
    drums("bongos_congas", "Drum", (0,), (60, 61, 62, 63, 64), TAPPED),
    tuned("taiko", "Drum", 116, (36, 60), (rhythm, roll)),
    drums("hi_hat", "Hi-hat", ACOUSTIC_KITS, (42, 44, 46), (steady, rhythm)),
    drums("cymbals", "Cymbal", ACOUSTIC_KITS, (49, 51, 52, 53, 55, 57, 59), (strokes, rhythm)),
    drums("tambourine", "Tambourine", (0,), (54,), SHAKEN),
    drums("cowbell", "Cowbell", (0,), (56,), TAPPED),
    drums("wood_block", "Wood block", (0,), (76, 77), TAPPED),
    tuned("woodblock", "Wood block", 115, (60, 84), TAPPED),
    drums("maracas", "Maraca", (0,), (70,), SHAKEN),
    drums("shaker", "Rattle (instrument)", (0,), (82,), SHAKEN),
    drums("cabasa", "Rattle (instrument)", (0,), (69,), SHAKEN),
    drums("jingle_bell", "Jingle bell", (0,), (83,), TAPPED),
)
