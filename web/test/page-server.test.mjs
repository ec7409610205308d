import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { eventsOf, ServerBackend } from "../../src/foreword/server/static/page/server.js";

const stored = new Map();
const original = globalThis.fetch;

beforeEach(() => {
  stored.clear();
  globalThis.sessionStorage = {
    getItem: (name) => stored.get(name) ?? null,
    setItem: (name, value) => stored.set(name, value),
  };
});
afterEach(() => {
  globalThis.fetch = original;
});

const bodyOf = (...chunks) =>
  new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });
const bytes = (text) => new TextEncoder().encode(text);

async function all(body) {
  const events = [];
  for await (const event of eventsOf(body)) events.push(event);
  return events;
}

test("events are read however they are cut, with comments and either line end", async () => {
  const text = ': ping\r\n\r\ndata: {"text": "é"}\r\n\r\nevent: x\ndata: {"a":\ndata: 1}\n\n';
  const whole = bytes(text);
  for (let cut = 0; cut <= whole.length; cut += 1) {
    const found = await all(bodyOf(whole.slice(0, cut), whole.slice(cut)));
    assert.deepEqual(found, [{ text: "é" }, { a: 1 }], `cut at ${cut}`);
  }
});

test("an event that is not finished is none", async () => {
  assert.deepEqual(await all(bodyOf(bytes('data: {"text": "x"}\n'))), []);
});

function answering(...responses) {
  const asked = [];
  globalThis.fetch = async (path, how) => {
    asked.push({ path, ...how });
    const response = responses.shift();
    if (response instanceof Error) throw response;
    return response;
  };
  return asked;
}

test("words are told as they come, and the answer at the end", async () => {
  const answer = { items: [{ text: " a b" }], done: true };
  const events = [{ text: " a" }, { text: " a b" }, answer];
  const stream = events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join("");
  const asked = answering(new Response(stream));
  const told = [];
  const backend = new ServerBackend();
  const request = { text: "x", max_words: 2 };
  const found = await backend.suggest(request, { onWords: (words) => told.push(words) });
  assert.deepEqual(told, [" a", " a b"]);
  assert.deepEqual(found, answer);
  const body = JSON.parse(asked[0].body);
  assert.match(body.session, /^[0-9a-f]{32}$/);
  assert.deepEqual([body.text, body.max_words, body.stream], ["x", 2, true]);
  assert.equal(asked[0].headers.Authorization, undefined);
});

test("the key that was given goes with every request", async () => {
  const asked = answering(Response.json({ data: [] }), Response.json({}));
  const backend = new ServerBackend();
  backend.key = "secret";
  await backend.models();
  assert.deepEqual(
    asked.map(({ path, headers }) => [path, headers.Authorization]),
    [["/v1/models", "Bearer secret"], ["/health", "Bearer secret"]],
  );
});

test("every failure has a code the page knows, and the server's own words", async () => {
  const error = (status, code, headers) =>
    Response.json({ error: { message: "why", code } }, { status, headers });
  const cases = [
    [error(401), "api_key"],
    [error(403), "forbidden"],
    [error(404), "model"],
    [error(429, null, { "Retry-After": "3" }), "busy", 3],
    [error(503, "loading"), "loading"],
    [error(503, "failed"), "failed"],
    [error(503, "closing"), "offline"],
    [error(503, "timeout"), "trouble"],
    [error(503, 503), "failed"],
    [Response.json({ error: { message: "Loading model", code: 503 } }, { status: 503 }), "loading"],
    [error(400), "trouble"],
    [new Response("<html>", { status: 502 }), "trouble"],
    [new TypeError("failed to fetch"), "offline"],
    [new Response('data: {"text": " a"}\n\n'), "offline"],
    [new Response('data: {"error": {"message": "why", "code": "x"}}\n\n'), "trouble"],
  ];
  for (const [response, code, retryAfter = null] of cases) {
    answering(response);
    await assert.rejects(new ServerBackend().suggest({ text: "x" }), { code, retryAfter });
  }
});

test("what is called off rejects as such, and is no failure", async () => {
  const calledOff = new AbortController();
  calledOff.abort();
  answering(new DOMException("called off", "AbortError"));
  const { signal } = calledOff;
  await assert.rejects(new ServerBackend().suggest({ text: "x" }, { signal }), {
    name: "AbortError",
  });
});

test("only the end of a text that the model can take in is sent", async () => {
  const done = () => new Response('data: {"items": [], "done": true}\n\n');
  const asked = answering(Response.json({ data: [{ context: 32 }] }), Response.json({}), done());
  const backend = new ServerBackend();
  await backend.models();
  const text = "word ".repeat(20_000);
  await backend.suggest({ text });
  const sent = JSON.parse(asked[2].body).text;
  assert.ok(text.endsWith(sent));
  assert.ok(sent.length < 10_000 && sent.length >= 32 * 16);
});
