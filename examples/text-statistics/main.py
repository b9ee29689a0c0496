"""Counts a text and rates how easy it is to read. Needs nothing but Python."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

COMMON_WORDS = """
    a about after all also an and any are as at be been before but by can could did do does for
    from had has have he her here him his how i if in into is it its just me more most my no not
    now of on one only or other our out over she so some such than that the their them then there
    these they this those to too up us very was we were what when where which who will with would
    you your
"""
COMMON = frozenset(COMMON_WORDS.split())
WORD = re.compile(r"[^\W\d_]+(?:['\u2019-][^\W\d_]+)*|\d+(?:[.,]\d+)*")
SENTENCE_END = re.compile(r"[.!?\u2026]+[\"'\u201d\u2019)\]]*(?=\s|$)")
# "e.g. the" must not end a sentence.
ABBREVIATION = re.compile(
    r"\b(?:e\.g|i\.e|etc|vs|mr|mrs|ms|dr|prof|no|approx)\.(?=\s+\S)", re.IGNORECASE
)
LEVELS = ((90, "very easy"), (70, "easy"), (60, "plain"), (50, "fairly hard"), (30, "hard"))
WORDS_PER_MINUTE = 230


def main(text: str, top_words: int = 10, skip_common: bool = True) -> dict[str, Any]:
    """Return the counts, top_words frequent words and the Flesch reading ease of text."""
    words = WORD.findall(text)
    if not words:
        raise SystemExit("The text has no words.")
    sentences = count_sentences(text)
    syllables = sum(count_syllables(word) for word in words)
    ease = 206.835 - 1.015 * len(words) / sentences - 84.6 * syllables / len(words)
    grade = 0.39 * len(words) / sentences + 11.8 * syllables / len(words) - 15.59
    english = sum(word.isascii() for word in words) * 2 >= len(words)
    level = level_of(ease) if english else "only rated for English"
    summary = f"{len(words)} words in {sentences} sentences; {level}."
    print(summary)
    return {
        "summary": summary,
        "words": len(words),
        "different_words": len({word.casefold() for word in words}),
        "sentences": sentences,
        "paragraphs": len([part for part in re.split(r"\n\s*\n", text) if part.strip()]),
        "lines": len(text.splitlines()),
        "characters": len(text),
        "characters_without_spaces": len("".join(text.split())),
        "words_per_sentence": round(len(words) / sentences, 1),
        "reading_minutes": round(len(words) / WORDS_PER_MINUTE, 1),
        "reading_ease": round(ease, 1) if english else None,
        "school_grade": round(max(grade, 0), 1) if english else None,
        "reading_level": level,
        "top_words": frequent_words(words, top_words, skip_common),
    }


def count_sentences(text: str) -> int:
    """Return how many sentences text has; a last one without a full stop counts as well."""
    parts = SENTENCE_END.split(ABBREVIATION.sub("", text.strip()))
    return max(1, sum(1 for part in parts if WORD.search(part)))


def count_syllables(word: str) -> int:
    """Return the syllables of an English word, by its groups of vowels: close, not exact."""
    letters = word.lower()
    groups = len(re.findall(r"[aeiouy]+", letters))
    # A final e is silent (made), not so after l and a consonant (table).
    if groups > 1 and letters.endswith("e") and not re.search(r"[^aeiouy]le$", letters):
        groups -= 1
    return max(groups, 1)


def level_of(ease: float) -> str:
    return next((level for least, level in LEVELS if ease >= least), "very hard")


def frequent_words(words: list[str], most: int, skip_common: bool) -> list[dict[str, Any]]:
    """Return the most frequent words first, equal ones by the alphabet; numbers are left out."""
    counts = Counter(
        word.casefold().replace("\u2019", "'") for word in words if not word[0].isdigit()
    )
    if skip_common:
        counts = Counter({word: n for word, n in counts.items() if word not in COMMON})
    ranked = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
    return [{"word": word, "count": count} for word, count in ranked[:most]]
