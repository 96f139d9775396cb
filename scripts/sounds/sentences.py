"""Sentences to be spoken, put together from words of several languages."""

from __future__ import annotations

import numpy as np

# language -> subjects, verbs, objects, endings: a sentence takes one of each.
WORDS: dict[str, tuple[tuple[str, ...], ...]] = {
    "en": (
        (
            "the teacher",
            "my brother",
            "an old sailor",
            "everyone",
            "your neighbour",
            "the captain",
            "nobody here",
            "our little sister",
            "the man next door",
            "this engineer",
        ),
        (
            "opened",
            "was looking for",
            "has forgotten",
            "will repair",
            "talked about",
            "painted",
            "carefully measured",
            "wants to sell",
            "never understood",
            "carried",
        ),
        (
            "the blue window",
            "a box of apples",
            "the railway station",
            "three letters",
            "that strange machine",
            "the answer",
            "a cup of coffee",
            "his bicycle",
            "the whole story",
        ),
        (
            "before breakfast",
            "on Thursday evening",
            "without saying a word",
            "in the rain",
            "as quickly as possible",
            "for twenty five years",
            "again and again",
            "I suppose",
        ),
    ),
    "de": (
        ("der Lehrer", "meine Schwester", "ein alter Bauer", "niemand", "unser Nachbar"),
        ("öffnet", "sucht", "vergisst", "repariert", "erzählt von"),
        ("das blaue Fenster", "die lange Geschichte", "den Bahnhof", "drei Briefe", "das Fahrrad"),
        ("vor dem Frühstück", "am Donnerstag", "ohne ein Wort", "im Regen", "immer wieder"),
    ),
    "fr": (
        ("le professeur", "ma sœur", "un vieux marin", "personne", "notre voisin"),
        ("cherche", "regarde", "oublie", "répare", "raconte"),
        ("la fenêtre bleue", "une longue histoire", "la gare", "trois lettres", "le vélo"),
        ("avant midi", "jeudi soir", "sans un mot", "sous la pluie", "encore une fois"),
    ),
    "es": (
        ("el maestro", "mi hermana", "un viejo marinero", "nadie", "nuestro vecino"),
        ("busca", "mira", "olvida", "repara", "cuenta"),
        ("la ventana azul", "una larga historia", "la estación", "tres cartas", "la bicicleta"),
        ("antes de comer", "el jueves", "sin decir nada", "bajo la lluvia", "otra vez"),
    ),
    "it": (
        ("il maestro", "mia sorella", "un vecchio marinaio", "nessuno", "il nostro vicino"),
        ("cerca", "guarda", "dimentica", "ripara", "racconta"),
        ("la finestra azzurra", "una lunga storia", "la stazione", "tre lettere", "la bicicletta"),
        ("prima di cena", "giovedì sera", "senza una parola", "sotto la pioggia", "ancora"),
    ),
    "nl": (
        ("de leraar", "mijn zus", "een oude zeeman", "niemand", "onze buurman"),
        ("zoekt", "ziet", "vergeet", "herstelt", "vertelt over"),
        ("het blauwe raam", "het lange verhaal", "het station", "drie brieven", "de fiets"),
        ("voor het ontbijt", "op donderdag", "zonder een woord", "in de regen", "steeds weer"),
    ),
    "cs": (
        ("učitel", "moje sestra", "starý námořník", "nikdo", "náš soused"),
        ("hledá", "vidí", "zapomněl", "opravuje", "popisuje"),
        ("modré okno", "dlouhý příběh", "nádraží", "tři dopisy", "staré kolo"),
        ("před snídaní", "ve čtvrtek večer", "beze slova", "v dešti", "znovu a znovu"),
    ),
    "fi": (
        ("opettaja", "sisareni", "vanha merimies", "jokainen", "naapurimme"),
        ("etsii", "näkee", "unohtaa", "korjaa", "muistaa"),
        ("sinisen ikkunan", "pitkän tarinan", "aseman", "kolme kirjettä", "polkupyörän"),
        ("ennen aamiaista", "torstaina", "sanomatta mitään", "sateessa", "yhä uudelleen"),
    ),
    "ca": (
        ("el mestre", "la meva germana", "un vell mariner", "ningú", "el nostre veí"),
        ("busca", "mira", "oblida", "repara", "explica"),
        ("la finestra blava", "una llarga història", "les tres cartes", "la bicicleta"),
        ("abans de dinar", "dijous al vespre", "sense dir res", "sota la pluja", "una vegada"),
    ),
}


def draw_sentence(language: str, rng: np.random.Generator) -> str:
    """Subject, verb, object, ending; now and then a question or an exclamation."""
    parts = WORDS[language.split("-")[0]]
    stop = str(rng.choice([".", ".", "?", "!"]))
    return " ".join(str(rng.choice(words)) for words in parts) + stop
