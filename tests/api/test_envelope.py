"""Truto's envelope, whole or arriving: the same rows, the same cursor, or a broken body."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tap_truto_ats.api.envelope import Page, decode_chunks, decode_object, decode_page
from tap_truto_ats.api.errors import BrokenBodyError, NoListError, TransientError
from tap_truto_ats.api.nearly_json import MOST_LEVELS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

ROWS: list[Any] = [
    {"id": "i1", "candidate": {"id": 7, "tags": [[], {}, [1, [2]]]}, "location": "Köln ☕"},
    {"id": 2, "result": [{"next_cursor": "no"}], "next_cursor": "no", "score": -1.5e3, "x": None},
]

# Body → rows and cursor.
PAGES: dict[str, tuple[object, list[Any], str | None]] = {
    "rows and a cursor": ({"result": ROWS, "next_cursor": "c2"}, ROWS, "c2"),
    "cursor before the rows": ({"next_cursor": "c2", "result": ROWS}, ROWS, "c2"),
    "other keys on all sides": (
        {
            "a": {"result": [0]},
            "next_cursor": "c2",
            "b": [{"result": []}],
            "result": ROWS,
            "result_count": 2,
            "prev_cursor": "c0",
            "is_partial_response": False,
        },
        ROWS,
        "c2",
    ),
    "no rows": ({"result": [], "next_cursor": None}, [], None),
    "no rows and a cursor": ({"result": [], "next_cursor": "c2"}, [], "c2"),
    "cursor absent": ({"result": ROWS}, ROWS, None),
    "cursor null": ({"result": ROWS, "next_cursor": None}, ROWS, None),
    "cursor empty": ({"result": ROWS, "next_cursor": ""}, ROWS, None),
    "cursor a number": ({"result": [], "next_cursor": 25}, [], "25"),
    "cursor an address": (
        {"result": [], "next_cursor": "https://a.example/?q=a+b%20c&x=ä"},
        [],
        "https://a.example/?q=a+b%20c&x=ä",
    ),
    "spelt results": ({"results": ROWS, "next_cursor": "c2"}, ROWS, "c2"),
    "keyed by a field": ({"result": {"i1": ROWS[0], "2": ROWS[1]}}, ROWS, None),
    "keyed, with an empty key": ({"result": {"": ROWS[0]}}, [ROWS[0]], None),
    "keyed, without rows": ({"result": {}, "next_cursor": "c2"}, [], "c2"),
    "keyed by words of the envelope": (
        {"result": {"result": {"id": 1}, "next_cursor": {"id": 2}}, "next_cursor": "c2"},
        [{"id": 1}, {"id": 2}],
        "c2",
    ),
    "scalars as rows": (
        {"result": [None, True, 1, 1.5, "text", [], [1], {}]},
        [None, True, 1, 1.5, "text", [], [1], {}],
        None,
    ),
    "scalars keyed": ({"result": {"a": 1, "b": None, "c": [2]}}, [1, None, [2]], None),
    "numbers as they are": (
        {"result": [0, -1, 4000000001, 2**53 + 1, 2**63 - 1, 1.0, 0.1, -2.5e-7]},
        [0, -1, 4000000001, 2**53 + 1, 2**63 - 1, 1.0, 0.1, -2.5e-7],
        None,
    ),
    "integers of more than 63 bits": (
        {"result": [-(2**63), 2**63, 2**64, 2**80]},
        [-(2**63), 2**63, 2**64, 2**80],
        None,
    ),
    "the empty key": ({"": 1, "result": ROWS}, ROWS, None),
}

TEXTS: dict[str, tuple[bytes, list[Any], str | None]] = {
    "blanks": (b' {\n "result" : [ 1 , 2 ] ,\t"next_cursor" : "c" }\r\n ', [1, 2], "c"),
    "escapes": (rb'{"result":["\u00e4\n\"\\\u2028\ud83d\ude00"]}', ['ä\n"\\\u2028😀'], None),
    "an escaped escape": (
        rb'{"result":["a\\u0000b", "\\\\ud83d"]}',
        ["a\\u0000b", "\\\\ud83d"],
        None,
    ),
    "brackets and quotes in texts": (
        rb'{"a":"\"result\": [","result":[{"[\"":"]},{\\"},"]"],"next_cursor":"[{"}',
        [{'["': "]},{\\"}, "]"],
        "[{",
    ),
    "a key that ends like the rows'": (rb'{"my\"result":[1],"result":[2]}', [2], None),
    "a key in other letters": (rb'{"\u0072esult":[1,2]}', [1, 2], None),
    "a property twice": (b'{"result":[{"a":1,"a":2}]}', [{"a": 2}], None),
    "the cursor twice": (b'{"next_cursor":"c1","result":[],"next_cursor":"c2"}', [], "c2"),
    "a cursor taken back": (b'{"next_cursor":"c1","result":[],"next_cursor":null}', [], None),
}

LEFT = MOST_LEVELS - 3
"""Levels that are left within the object of a row."""


def nested(levels: int, innermost: object = "") -> Any:
    """Lists, each within another, and what the innermost is around."""
    return [nested(levels - 1, innermost)] if levels else innermost


# What is nearly JSON, by one value: body → rows and how many values were replaced.
NEARLY: dict[str, tuple[bytes, list[Any], int]] = {
    "NUL": (rb'{"result":["a\u0000b", {"k\u0000": {"l": [["\u0000\u0000"]]}}]}',
            ["a\ufffdb", {"k\ufffd": {"l": [["\ufffd\ufffd"]]}}], 3),
    "NUL behind backslashes": (rb'{"result":["\\\u0000", "\\u0000"]}', ["\\\ufffd", "\\u0000"], 1),
    "NUL as a byte": (b'{"result":["a\0b"]}', ["a\ufffdb"], 1),
    "half a character": (rb'{"result":["cut \ud83d", "\ude00", "\ud83d\ude00"]}',
                         ["cut \ufffd", "\ufffd", "😀"], 2),
    "halves in the wrong order": (rb'{"result":[{"\ude00\ud83d": 1}]}', [{"\ufffd\ufffd": 1}], 1),
    "a byte of another encoding": (b'{"result":["caf\xe9", "\xc3\xa9"]}', ["caf\ufffd", "é"], 1),
    "a byte at the end of a text": (b'{"result":["\xff"], "next_cursor": null}', ["\ufffd"], 1),
    "a half as bytes": (b'{"result":["\xed\xa0\xbd"]}', ["\ufffd\ufffd\ufffd"], 1),
    "a byte-order mark": (b'\xef\xbb\xbf{"result":[1]}', [1], 0),
    "no numbers": (b'{"result":[NaN, Infinity, -Infinity]}', ["NaN", "Infinity", "-Infinity"], 3),
    "no numbers, as other languages write them": (b'{"result":[nan, -NaN, inf, +Infinity]}',
                                                  ["nan", "-NaN", "inf", "+Infinity"], 4),
    "numbers of other languages": (b'{"result":[0x1F, +1, .5, 5., 007, 1_000, 1e+5, -0.0]}',
                                   ["0x1F", "+1", ".5", "5.", "007", "1_000", 1e5, -0.0], 6),
    "numbers in texts": (b'{"result":["NaN, 007", {"inf": "\xff"}]}',
                         ["NaN, 007", {"inf": "\ufffd"}], 1),
    "backslashes that escape nothing": (
        rb'{"result":["C:\dir\u12", "\\\d\\", {"it\'s": "\n\x"}]}',
        ["C:\\dir\\u12", "\\\\d\\", {"it\\'s": "\n\\x"}],
        4,
    ),
    "keys that become one": (
        rb'{"result":[{"\u0000":1,"\ud83d":2,"\ufffd":{"\u0000":3}}]}',
        [{"\ufffd": 1, "\ufffd\ufffd": 2, "\ufffd\ufffd\ufffd": {"\ufffd": 3}}],
        3,
    ),
    "too large numbers": (b'{"result":[1e400, -1e999, 1e308]}', ["1e400", "-1e999", 1e308], 2),
    "too many digits": (b'{"result":[' + b"7" * 5_000 + b"]}", ["7" * 5_000], 1),
    "bare control characters": (b'{"result":["a\nb\tc\x01"]}', ["a\nb\tc\x01"], 0),
    "a number beside a byte": (b'{"result":["\xff", 9007199254740993, 0.1]}',
                               ["\ufffd", 9007199254740993, 0.1], 1),
    "in another row": (b'{"result":[{"id":"1"},{"id":"2","x":"\xff"},{"id":"3"}]}',
                       [{"id": "1"}, {"id": "2", "x": "\ufffd"}, {"id": "3"}], 1),
    "as deep as can be": (b'{"result":[{"x":' + b"[" * LEFT + b'""' + b"]" * LEFT + b"}]}",
                          [{"x": nested(LEFT)}], 0),
    "one level too deep": (
        b'{"result":[{"x":' + b"[" * LEFT + b'[1, "\xff"]' + b"]" * LEFT + b"}]}",
        [{"x": nested(LEFT, '[1, "\ufffd"]')}],
        2,
    ),
    "too deep for any decoder": (
        b'{"result":[{"id":1},{"x":' + b"[" * 3_000 + b"]" * 3_000 + b'},{"id":"]}"}]}',
        [{"id": 1}, {"x": nested(LEFT, "[" * (3_000 - LEFT) + "]" * (3_000 - LEFT))}, {"id": "]}"}],
        1,
    ),
    "too deep, in several places": (
        b'{"result":[{"x":' + b"[" * LEFT + b'{"a":[]},{"b":"}"},[]' + b"]" * LEFT + b"}]}",
        [{"x": nested(LEFT - 1, ['{"a":[]}', '{"b":"}"}', "[]"])}],
        3,
    ),
    "beside the rows": (b'{"a":NaN,"result":[{"id":"1"}]}', [{"id": "1"}], 1),
}  # fmt: skip

BODIES: dict[str, tuple[bytes, Page]] = {
    **{
        name: (json.dumps(body, ensure_ascii=False).encode(), Page(rows, cursor))
        for name, (body, rows, cursor) in PAGES.items()
    },
    **{name: (body, Page(rows, cursor)) for name, (body, rows, cursor) in TEXTS.items()},
    **{name: (body, Page(rows, replaced=count)) for name, (body, rows, count) in NEARLY.items()},
}

SECRET = "never.in.a.log"
BROKEN: dict[str, bytes] = {
    "nothing": b"",
    "blanks": b" \n",
    "null": b"null",
    "text": b'"never.in.a.log"',
    "HTML": b"<html><body>never.in.a.log</body></html>",
    "a list": b'[{"id": "never.in.a.log"}]',
    "an object without rows": b'{"data": ["never.in.a.log"], "next_cursor": "c2"}',
    "an empty object": b"{}",
    "an error": b'{"statusCode": 500, "message": "never.in.a.log"}',
    "rows further down only": b'{"data": {"result": [{"id": "never.in.a.log"}]}}',
    "null and a cursor": b'{"result": null, "next_cursor": "never.in.a.log"}',
    "null, cut off": b'{"result": null, "next_cursor": null',
    "a cursor that is a list": b'{"result": [], "next_cursor": ["never.in.a.log"]}',
    "a cursor that is an object": b'{"result": [], "next_cursor": {"a": "never.in.a.log"}}',
    "a cursor that is true": b'{"result": [], "next_cursor": true}',
    "result: text": b'{"result": "never.in.a.log"}',
    "result: a number": b'{"result": 5}',
    "result: true": b'{"result": true}',
    "cut off within a row": b'{"result": [{"id": "never.in.a.log',
    "cut off behind a row": b'{"result": [{"id": "never.in.a.log"}',
    "cut off behind the rows": b'{"result": [{"id": "never.in.a.log"}]',
    "cut off behind the cursor": b'{"result": [], "next_cursor": "never.in.a.log"',
    "not JSON": b'{"result": [{"id": never.in.a.log}]}',
    "a comma too few": b'{"result": [{"id": "never.in.a.log"} {"id": 2}]}',
    "two commas": b'{"result": [{"id": "never.in.a.log"},,{"id": 2}]}',
    "a comma in front": b'{"result": [,{"id": "never.in.a.log"}]}',
    "the wrong bracket": b'{"result": [{"id": "never.in.a.log"]}]}',
    "a bracket too many": b'{"result": [{"id": "never.in.a.log"}]]}',
    "a comma too many": b'{"result": [{"id": "never.in.a.log"},]}',
    "single quotes": b"{'result': ['never.in.a.log']}",
    "UTF-16": '{"result": ["never.in.a.log"]}'.encode("utf-16"),
    "two bodies": b'{"result": []}{"result": ["never.in.a.log"]}',
    "a body and more": b'{"result": []} never.in.a.log',
    "too deep a row, cut off": b'{"result": [{"id": 1, "x": ' + b"[" * 100_000,
    "too deep a row, a bracket too few": b'{"result": [{"x": '
    + b"[" * 9_000
    + b"]" * 8_999
    + b"}]}",
}


def joined(chunks: Iterable[bytes]) -> Page:
    """Put the parts of an arriving page together, as a whole page has them."""
    *parts, last = decode_chunks(chunks)
    assert all(part.unread and part.next_cursor is None for part in parts)
    assert not last.unread
    rows = [row for part in (*parts, last) for row in part.rows]
    return Page(rows, last.next_cursor, replaced=sum(part.replaced for part in (*parts, last)))


def types(value: Any) -> Any:
    """Tell values apart that compare equal."""
    if isinstance(value, dict):
        return {key: types(inner) for key, inner in value.items()}
    return [types(inner) for inner in value] if isinstance(value, list) else type(value)


@pytest.mark.parametrize(("body", "page"), BODIES.values(), ids=BODIES)
class TestPages:
    """A body gives the same page whether it is read whole or while it arrives."""

    def test_whole(self, body: bytes, page: Page) -> None:
        assert decode_page(body) == page
        assert types(decode_page(body).rows) == types(page.rows)

    def test_in_one_chunk(self, body: bytes, page: Page) -> None:
        assert joined([body]) == page
        assert types(joined([body]).rows) == types(page.rows)

    def test_in_two_chunks_cut_anywhere(self, body: bytes, page: Page) -> None:
        for cut in range(1, min(len(body), 300)):
            assert joined([body[:cut], body[cut:]]) == page, body[:cut]

    def test_byte_by_byte(self, body: bytes, page: Page) -> None:
        assert joined(body[n : n + 1] for n in range(len(body))) == page


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
class TestBrokenBodies:
    """What is no envelope is tried again, and told in words that quote nothing of it."""

    def test_whole(self, body: bytes) -> None:
        self.check(lambda: decode_page(body))

    def test_while_it_arrives(self, body: bytes) -> None:
        self.check(lambda: joined([body]))

    def test_in_two_chunks(self, body: bytes) -> None:
        for cut in {1, len(body) // 2, len(body) - 1} if len(body) > 2 else ():
            self.check(lambda cut=cut: joined([body[:cut], body[cut:]]))  # type: ignore[misc]

    @staticmethod
    def check(read: Callable[[], Page]) -> None:
        with pytest.raises(BrokenBodyError) as caught:
            read()
        assert isinstance(caught.value, TransientError)
        assert not isinstance(caught.value, NoListError)
        assert caught.value.status is None
        assert SECRET not in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        b'{"result": null, "next_cursor": null}',
        b'{"result": null}',
        b'{"results": null, "next_cursor": ""}',
        b'{"next_cursor": null, "other": [1], "result": null, "result_count": 0}',
    ],
    ids=str,
)
def test_null_in_place_of_rows_is_another_thing_than_a_broken_body(body: bytes) -> None:
    with pytest.raises(NoListError):
        decode_page(body)
    for cut in range(1, len(body)):
        with pytest.raises(NoListError):
            joined([body[:cut], body[cut:]])
        with pytest.raises(BrokenBodyError) as caught:
            joined([body[:cut]])
        assert not isinstance(caught.value, NoListError)


def test_a_body_cut_off_anywhere_is_broken() -> None:
    body = json.dumps({"result": ROWS, "next_cursor": "c2"}).encode()
    for length in range(len(body)):
        with pytest.raises(BrokenBodyError):
            decode_page(body[:length])
        with pytest.raises(BrokenBodyError):
            joined([body[:length]])


def test_brackets_in_texts_are_no_levels() -> None:
    rows = [{"id": n, "x": "[{" * 3, "y": ["}"]} for n in range(200)]
    body = json.dumps({"result": rows}).encode()
    assert decode_page(body) == joined([body]) == Page(rows)


def test_rows_are_handed_out_as_soon_as_they_have_arrived() -> None:
    seen: list[str] = []

    def chunks() -> Iterator[bytes]:
        for chunk in (b'{"result":[{"id":1},{"id"', b":2},", b'{"id":3}', b'],"next_cursor":"c"}'):
            seen.append("chunk")
            yield chunk

    pages = decode_chunks(chunks())
    while page := next(pages, None):
        seen.append(",".join(str(row["id"]) for row in page.rows) or page.next_cursor or "nothing")
    assert seen == ["chunk", "1", "chunk", "2", "chunk", "3", "chunk", "nothing", "c"]


def test_what_arrived_before_the_break_is_no_end() -> None:
    parts = decode_chunks([b'{"result":[{"id":1},', b'{"id":2'])
    assert next(parts) == Page([{"id": 1}], unread=True)
    assert next(parts) == Page([], unread=True)
    with pytest.raises(BrokenBodyError):
        next(parts)


def test_a_fault_of_the_connection_comes_through() -> None:
    def chunks() -> Iterator[bytes]:
        yield b'{"result":['
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        joined(chunks())


@pytest.mark.parametrize(
    ("body", "decoded"),
    [(b"{}", {}), (b' {"a": [1, {"b": null}]} ', {"a": [1, {"b": None}]})],
)
def test_an_object_is_decoded(body: bytes, decoded: dict[str, Any]) -> None:
    assert decode_object(body) == Page([decoded])


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b'"never.in.a.log"', b"5", b"<html>", b'{"a": "never.in.a.log'],
    ids=str,
)
def test_what_is_no_object_is_broken(body: bytes) -> None:
    with pytest.raises(BrokenBodyError) as caught:
        decode_object(body)
    assert SECRET not in str(caught.value)
