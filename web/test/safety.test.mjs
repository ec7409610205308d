import assert from "node:assert/strict";
import test from "node:test";

import { filterOf, readJson } from "./golden.mjs";

const golden = readJson("testdata/golden/safety.json");
/** Where and how bad; the ids of entries are Python's. */
const place = (match) => match && { ...match, entry: match.entry.split("-")[0] };

test("verdicts are the committed ones", () => {
  for (const level of ["off", "default", "strict"]) {
    const filter = filterOf(level);
    for (const { text, [level]: match } of golden.texts) {
      assert.deepEqual(place(filter.find(text)), place(match), `${level}: ${text}`);
    }
  }
});

test("streams are safe up to the committed places, and copies go on by themselves", () => {
  const filter = filterOf("default");
  for (const { pieces, safe, match, safe_at_end: atEnd } of golden.streams) {
    const scan = filter.scan();
    const found = pieces.map((piece) => {
      const copy = scan.copy();
      copy.feed("x");
      copy.end();
      scan.feed(piece);
      return scan.safe;
    });
    assert.deepEqual(found, safe, pieces.join("|"));
    assert.deepEqual(place(scan.end()), place(match));
    assert.equal(scan.safe, atEnd);
  }
});

test("a reader's own lists count", () => {
  for (const { text, extra, allow, match } of golden.lists) {
    assert.deepEqual(place(filterOf("default", extra, allow).find(text)), place(match), text);
  }
});
