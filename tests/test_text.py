"""Text as numbers, and the table of counts; test_prediction scores texts with the network, too."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from softattn.text import ALPHABET, ContextCounts, decode, encode, plain_text, text_windows


@given(st.text(alphabet=ALPHABET, min_size=1, max_size=60))
def test_decode_is_the_inverse_of_encode(text):
    codes = encode(text)
    assert codes.dtype == torch.int64 and decode(codes) == text
    assert encode(text, ALPHABET[::-1]).tolist() == [95 - code for code in codes.tolist()]


@pytest.mark.parametrize("wrong", [None, 3, b"ab", ["a"], True])
def test_what_is_no_text_is_refused(wrong):
    with pytest.raises(TypeError, match="encode: the text is .*, expected a str"):
        encode(wrong)
    with pytest.raises(TypeError, match="encode: alphabet is .*, expected a str"):
        encode("a", wrong)
    with pytest.raises(TypeError, match="decode: codes is .*, expected a tensor"):
        decode(wrong)


@pytest.mark.parametrize("alphabet", ["", "aa"])
def test_an_alphabet_names_each_character_once(alphabet):
    with pytest.raises(ValueError, match="alphabet is empty or repeats"):
        encode("a", alphabet)
    with pytest.raises(ValueError, match="alphabet is empty or repeats"):
        decode(torch.tensor([0]), alphabet)


@given(st.text(alphabet="ab", min_size=1, max_size=30), st.sampled_from("ab"))
def test_counts_are_a_distribution(text, context):
    counts = ContextCounts(2, "ab")
    counts.learn(text)
    for k in range(3):
        assert abs(sum(counts.probabilities(context, letter)[k] for letter in "ab") - 1) < 1e-12


def test_plain_spelling():
    assert plain_text("“naïve” — café… ß→") == '"naive" -- cafe... ss->'


@pytest.mark.parametrize("wrong", [{"length": 0}, {"length": 2.5}, {"batch": -1}, {"batch": True}, {"length": 6}])
def test_windows_that_do_not_fit(wrong):
    arguments = {"codes": torch.arange(5), "length": 2, "batch": 3, "generator": torch.Generator(), **wrong}
    with pytest.raises((TypeError, ValueError), match="text_windows: .*(expected a whole number|shorter windows)"):
        text_windows(**arguments)
