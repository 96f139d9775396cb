"""Which AudioSet classes each generator stands for, and how a clip is rendered from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sounds import bells, music, noises, sirens, speech, tones
from sounds.signals import Generator, levelled, room


@dataclass(frozen=True)
class Sound:
    """A generator and its most specific AudioSet names; ``key`` is part of file names."""

    key: str
    names: tuple[str, ...]
    generate: Generator


SPEECH = (
    Sound("male_speech", ("Male speech, man speaking", "Speech synthesizer"), speech.male_speech),
    Sound(
        "female_speech",
        ("Female speech, woman speaking", "Speech synthesizer"),
        speech.female_speech,
    ),
    Sound("male_speech", ("Male speech, man speaking", "Speech synthesizer"), speech.male_speech),
    Sound(
        "female_speech",
        ("Female speech, woman speaking", "Speech synthesizer"),
        speech.female_speech,
    ),
    Sound("conversation", ("Conversation", "Speech synthesizer"), speech.conversation),
    Sound("whispering", ("Whispering",), speech.whispering),
)

OTHER = (
    Sound("telephone_bell", ("Telephone bell ringing",), bells.telephone_bell),
    Sound("police_siren", ("Police car (siren)",), sirens.police_siren),
    Sound("rain", ("Rain",), noises.rain),
    Sound("plucked_melody", ("Acoustic guitar",), music.plucked_melody),
    Sound("idling", ("Idling",), noises.idling),
    Sound("smoke_detector", ("Smoke detector, smoke alarm",), tones.smoke_detector),
    Sound("dial_tone", ("Dial tone",), tones.dial_tone),
    Sound("bird_song", ("Chirp, tweet",), music.bird_song),
    Sound("car_horn", ("Vehicle horn, car horn, honking",), sirens.car_horn),
    Sound("white_noise", ("White noise",), noises.white_noise),
    Sound("ringtone", ("Ringtone",), tones.ringtone),
    Sound("drum_machine", ("Drum machine",), music.drum_machine),
    Sound("wind", ("Wind",), noises.wind),
    Sound("church_bell", ("Church bell",), bells.church_bell),
    Sound("telephone_dialing", ("Telephone dialing, DTMF",), tones.telephone_dialing),
    Sound("applause", ("Applause",), noises.applause),
    Sound("civil_defense_siren", ("Civil defense siren",), sirens.civil_defense_siren),
    Sound("synthesizer", ("Synthesizer",), music.synthesizer),
    Sound("alarm_clock", ("Alarm clock", "Beep, bleep"), tones.alarm_clock),
    Sound("tick_tock", ("Tick-tock",), bells.tick_tock),
    Sound("accelerating", ("Accelerating, revving, vroom",), noises.accelerating),
    Sound("sine_wave", ("Sine wave",), tones.sine_wave),
    Sound("bicycle_bell", ("Bicycle bell",), bells.bicycle_bell),
    Sound("mains_hum", ("Mains hum",), tones.mains_hum),
    Sound("whistling", ("Whistling",), music.whistling),
    Sound("busy_signal", ("Busy signal",), tones.busy_signal),
    Sound("ambulance_siren", ("Ambulance (siren)",), sirens.ambulance_siren),
    Sound("heartbeat", ("Heart sounds, heartbeat",), noises.heartbeat),
    Sound("ding_dong", ("Ding-dong",), bells.ding_dong),
    Sound("foghorn", ("Foghorn",), sirens.foghorn),
    Sound("chirp_tone", ("Chirp tone",), tones.chirp_tone),
    Sound("waves", ("Waves, surf",), noises.waves),
    Sound("fire_alarm", ("Fire alarm",), tones.fire_alarm),
    Sound("static", ("Static",), noises.static),
    Sound("steam_whistle", ("Steam whistle",), sirens.steam_whistle),
    Sound("cricket", ("Cricket",), music.cricket),
    Sound("reversing_beeps", ("Reversing beeps",), tones.reversing_beeps),
    Sound("pink_noise", ("Pink noise",), noises.pink_noise),
    Sound("wind_chime", ("Wind chime",), bells.wind_chime),
    Sound("buzzer", ("Buzzer",), tones.buzzer),
    Sound("clapping", ("Clapping",), noises.clapping),
    Sound("sonar", ("Sonar",), tones.sonar),
    Sound("truck_horn", ("Air horn, truck horn",), sirens.truck_horn),
    Sound("beep", ("Beep, bleep",), tones.beep),
    Sound("knock", ("Knock",), noises.knock),
    Sound("harmonic", ("Harmonic",), tones.harmonic),
    Sound("mechanical_alarm_clock", ("Alarm clock",), bells.mechanical_alarm_clock),
    Sound("pulse", ("Pulse",), tones.pulse),
)


def sound_of_clip(index: int) -> Sound:
    """The sound of the ``index``-th clip: every third is speech, the rest go round in turn."""
    if index % 3 == 0:
        return SPEECH[(index // 3) % len(SPEECH)]
    return OTHER[(index - index // 3 - 1) % len(OTHER)]


def render(sound: Sound, num_samples: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Makes one clip.

    Args:
        sound: What to make.
        num_samples: T.
        rng: Source of all randomness.

    Returns: (T,) float32 with a peak from 0.1 to 0.9; starts and ends without a click.
    """
    waveform = sound.generate(num_samples, rng)
    if sound not in SPEECH and rng.random() < 0.3:
        waveform = room(waveform, rng.uniform(0.15, 0.5), rng.uniform(0.1, 0.4), rng)
    return levelled(waveform, rng)
