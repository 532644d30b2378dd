import io

from hypothesis import given
from hypothesis import strategies as st

from wm.games.chess.split import MAX_CHARS, GameText, split_games


def split(data: bytes) -> list[GameText]:
    return list(split_games(io.BytesIO(data)))


LINE_ENDS = st.sampled_from(["\n", "\r\n", "\r"])
GAPS = st.sampled_from(
    ["", "\n", "\n\n", "\n \n\n\n", "\n{between games}\n", "\n; aside\n", "\n% x\n"]
)
RESULTS = st.sampled_from(["1-0", "0-1", "1/2-1/2", "*"])
ASIDES = st.sampled_from(
    [
        "",
        "{a\n\ncomment (1-0}",
        "(1. c4 {0-1} (1. b3 *) 1-0)",
        "; 1-0 is near\n",
        "$1",
        "\n\n\n",
        "\n%1-0\n",
    ]
)
HEADERS = st.lists(
    st.sampled_from(['[Site "?"]', '[White "a \\"b\\" 1-0"]', '[Black "[x]"]', '[Round "{"]']),
    unique=True,
)


@st.composite
def games(draw: st.DrawFn) -> tuple[str, list[str]]:
    """A game's text and the words of it that must come out together."""
    number = draw(st.integers(0, 10**9))
    headers = draw(st.sampled_from([[], [f'[Event "{number}"]', *draw(HEADERS)]]))
    moves = ["1.", "e4", draw(ASIDES), f"e{number}", draw(ASIDES), "2.d4", draw(ASIDES)]
    joint = draw(st.sampled_from(["\n", "\n\n", "\n\n\n"]))
    text = joint.join(["\n".join(headers), " ".join(moves)]) if headers else " ".join(moves)
    result = draw(RESULTS)
    return f"{text} {result}", [*headers, f"e{number}", result]


@given(st.lists(st.tuples(games(), GAPS), max_size=6), LINE_ENDS, st.booleans())
def test_any_concatenation_of_games_is_found_again(
    parts: list[tuple[tuple[str, list[str]], str]], line_end: str, mark: bool
) -> None:
    text = "".join(f"{game}\n{gap}" for (game, _), gap in parts).replace("\n", line_end)
    found = split(text.encode("utf-8-sig" if mark else "utf-8"))
    assert len(found) == len(parts)
    for piece, ((_, words), _) in zip(found, parts, strict=True):
        whole = piece.headers + piece.movetext
        assert all(word in whole for word in words)
        assert piece.movetext.endswith(words[-1])


def test_lines_are_counted_from_one() -> None:
    data = b'\n[Event "a"]\n\n1. e4 *\n\n\n[Event "b"]\n1. d4 * 1. c4 *\n'
    assert [game.line for game in split(data)] == [2, 7, 8]


def test_headers_and_moves_may_share_a_line() -> None:
    first, second = split(b'[Event "a"] [Site "b"] 1. e4 1-0 [Event "c"] 1. d4 *')
    assert first == GameText(1, '[Event "a"]\n[Site "b"]\n', " 1. e4 1-0")
    assert (second.headers, second.movetext.strip()) == ('[Event "c"]\n', "1. d4 *")


def test_a_game_without_result_ends_at_the_next_header() -> None:
    found = split(b'[Event "a"]\n\n1. e4\n\n[Event "b"]\n\n[Event "c"]\n1. d4 *')
    assert [game.movetext.strip() for game in found] == ["1. e4", "", "1. d4 *"]


def test_an_open_comment_costs_one_game() -> None:
    found = split(
        b'[Event "a"]\n1. e4 {never closed 1-0\n\n[Event "b"]\n1. d4 * {or\n[Event "c"]\n*'
    )
    assert ["".join(game.headers).strip() for game in found] == [
        '[Event "a"]',
        '[Event "b"]',
        '[Event "c"]',
    ]


def test_oversize_text_is_dropped_and_named() -> None:
    found = split(b"x" * (3 * MAX_CHARS) + b'\n[Event "a"]\n1. e4 *')
    assert [game.oversize for game in found] == [True, False]
    assert not found[0].movetext


def test_nothing_comes_of_nothing() -> None:
    assert split(b"") == split(b"\xef\xbb\xbf\n\n {a comment}\n; another\n") == []


def test_the_stream_stays_open() -> None:
    stream = io.BytesIO(b"1. e4 *")
    next(split_games(stream))
    assert not stream.closed
