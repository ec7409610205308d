import { keepPage } from "./device.js";
import { Editor } from "./editor.js";
import { actionOf, KEY_NAMES } from "./keys.js";
import { Notice } from "./notice.js";
import { Place } from "./place.js";
import { load, policyOf, save } from "./preferences.js";
import { setText } from "./set_text.js";
import { Settings } from "./settings.js";
import { Announcer, statusOf } from "./status.js";
import { preferredLanguage, Words } from "./strings.js";
import { Suggester } from "./suggester.js";

const TEXT = "foreword-text";
const root = document.documentElement;
const one = (selector) => document.querySelector(selector);

const preferences = load();
const announcer = new Announcer(one("#said"));
let words = wordsOf(preferences);
let waiting = "";

const suggester = new Suggester(draw);
suggester.set(policyOf(preferences));
const editor = new Editor(one("#text"), one("#under"), one("#over"), (before, silent) =>
  suggester.moved(before, silent),
);
const settings = new Settings(
  one("#settings"),
  one("#open-settings"),
  preferences,
  words,
  changed,
);
const place = new Place(one("#place"), preferences, words, {
  onBackend: (backend, connect) => suggester.use(backend, connect),
  onModel: (model) => {
    if (model?.context) settings.limit = model.context;
    suggester.set(policyOf(preferences));
  },
  onState: (note) => {
    waiting = note;
    draw();
  },
  onChange: changed,
});
const notice = new Notice(one("#notice"), words, {
  retry: () => suggester.retry(),
  open_settings: () => settings.open(),
  use_server: () => void place.choose("server"),
  use_key: (key) => {
    place.key = key;
    suggester.reconnect();
    editor.focus();
  },
});

const ACTIONS = {
  accept: () => accept("all"),
  word: () => accept("word"),
  next: () => suggester.another(),
  dismiss: () => suggester.dismiss(),
};

function accept(part) {
  const text = suggester.accepted(part);
  editor.accept(text);
  announcer.tell(words.say("said_accepted", { text }));
}

/** Shows what is suggested, and what is known of it. */
function draw() {
  const { ghost, problem, answer } = suggester;
  editor.suggest(ghost);
  for (const button of document.querySelectorAll("[data-do]")) button.disabled = ghost === "";
  notice.show(problem, waiting, answer?.refused ?? null);
  const status = statusOf(suggester, words);
  if (status) {
    setText(one("#status"), status.text);
    one("#meter").hidden = status.share === null;
    one("#meter").style.setProperty("--share", `${Math.round((status.share ?? 0) * 100)}%`);
  }
  if (answer) settings.seen = answer.context_tokens;
  const whole = answer !== null && ghost !== "";
  announcer.suggest(whole ? words.say("said_suggestion", { text: ghost }) : "");
}

/** Takes a preference that has changed. */
function changed(name) {
  save(preferences);
  if (name === "language") speak();
  else if (["theme", "accepted", "announce"].includes(name)) dress();
  else if (name === "keep_text") keep();
  else if (name !== "place") suggester.set(policyOf(preferences));
}

function wordsOf({ language }) {
  return new Words(preferredLanguage(language ? [language] : navigator.languages));
}

/** Puts the page in the chosen language. */
function speak() {
  words = wordsOf(preferences);
  root.lang = words.language;
  words.fill(document);
  for (const part of [settings, place, notice]) part.words = words;
  one("meta[name=description]").content = words.say("description");
  one("#keys-help").textContent = words.say("keys_help", KEY_NAMES);
  draw();
}

/** Gives the page the chosen look. */
function dress() {
  const { theme, accepted, announce } = preferences;
  if (theme === "auto") delete root.dataset.theme;
  else root.dataset.theme = theme;
  root.dataset.accepted = accepted;
  editor.mark(accepted);
  announcer.enabled = announce;
  const paper = getComputedStyle(document.body).backgroundColor;
  for (const meta of document.querySelectorAll("meta[name=theme-color]")) {
    if (theme !== "auto") meta.content = paper;
  }
}

/** Keeps the text for a reload of this tab, or not. */
function keep() {
  if (preferences.keep_text && editor.text) sessionStorage.setItem(TEXT, editor.text);
  else sessionStorage.removeItem(TEXT);
}

async function copy() {
  const copied = await editor.copy();
  announcer.tell(words.say(copied ? "copied" : "not_copied"));
  const button = one("#copy");
  button.classList.toggle("done", copied);
  button.title = words.say(copied ? "copied" : "not_copied");
  button.addEventListener("pointerleave", () => {
    button.classList.remove("done");
    button.title = words.say("copy");
  }, { once: true });
}

one("#text").addEventListener("keydown", (event) => {
  const action = actionOf(event);
  if (!action || !editor.ghost) return;
  event.preventDefault();
  ACTIONS[action]();
});
for (const button of document.querySelectorAll("[data-do]")) {
  button.querySelector("kbd").textContent = KEY_NAMES[button.dataset.do];
  button.addEventListener("click", () => {
    ACTIONS[button.dataset.do]();
    editor.focus();
  });
}
// A press on these leaves the cursor, and on a phone the keyboard, where it is.
for (const bar of document.querySelectorAll(".actions, .tools")) {
  bar.addEventListener("mousedown", (event) => event.preventDefault());
}
one("#undo").addEventListener("click", () => editor.undo());
one("#redo").addEventListener("click", () => editor.redo());
one("#copy").addEventListener("click", () => void copy());
one("#clear").addEventListener("click", () => {
  if (!editor.text) return;
  editor.clear();
  announcer.tell(words.say("cleared"));
});
one("#desk").addEventListener("click", (event) => {
  const blank = !event.target.closest("#text, #notice");
  if (blank && getSelection().isCollapsed) editor.focus();
});

addEventListener("pagehide", keep);
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "hidden") keep();
});
addEventListener("online", () => {
  if (suggester.problem?.code === "offline") suggester.retry();
});
// iOS lays its keyboard over the page: what is above it is the page's height.
globalThis.visualViewport?.addEventListener("resize", () => {
  if (visualViewport.scale > 1) return;
  root.style.setProperty("--height", `${visualViewport.height}px`);
});

dress();
speak();
if (preferences.keep_text) editor.begin(sessionStorage.getItem(TEXT) ?? "");
place.begin();
// Without it, as on an address that is not secure, the page works all the same, but not offline.
keepPage().catch(() => {});
