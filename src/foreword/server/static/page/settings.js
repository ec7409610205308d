import { DEFAULTS } from "./preferences.js";
import { setText } from "./set_text.js";
import { STRINGS } from "./strings.js";

const SUGGESTIONS = ["unit", "context_tokens", "context_words", "max_words", "temperature"];
const STEP = 16; // tokens
const WORDS = { min: 5, max: 50, step: 1 };

/** The panel of choices: what the reader sets there is in `preferences` at once. */
export class Settings {
  #panel;
  #form;
  #opener;
  #preferences;
  #words;
  #limit = 512;
  #seen = 0;
  #onChange;

  /** `onChange(name)` is called after a preference has changed. */
  constructor(panel, opener, preferences, words, onChange) {
    this.#panel = panel;
    this.#form = panel.querySelector("form");
    this.#opener = opener;
    this.#preferences = preferences;
    this.#words = words;
    this.#onChange = onChange;
    const languages = Object.entries(STRINGS);
    this.#form.elements.language.append(
      ...languages.map(([tag, { language }]) => new Option(language, tag)),
    );
    this.#form.addEventListener("input", (event) => this.#changed(event.target));
    this.#form.addEventListener("submit", (event) => event.preventDefault());
    panel.querySelector("#defaults").addEventListener("click", () => this.#reset());
    panel.querySelector("#close-settings").addEventListener("click", () => this.close());
    opener.addEventListener("click", () => (panel.hidden ? this.open() : this.close()));
    panel.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !event.isComposing) this.close();
    });
    this.fill();
  }

  set words(words) {
    this.#words = words;
    this.fill();
  }

  /** How many tokens the model holds. */
  set limit(tokens) {
    this.#limit = tokens;
    this.fill();
  }

  /** How many tokens of the text were looked at last. */
  set seen(tokens) {
    this.#seen = tokens;
    if (!this.#panel.hidden) this.fill();
  }

  open() {
    this.#panel.hidden = false;
    this.fill();
    this.#opener.setAttribute("aria-expanded", "true");
    this.#panel.querySelector("h2").focus();
  }

  close() {
    this.#panel.hidden = true;
    this.#opener.setAttribute("aria-expanded", "false");
    this.#opener.focus();
  }

  /** Shows the preferences as they are. */
  fill() {
    const chosen = this.#preferences;
    const { elements } = this.#form;
    for (const name of ["unit", "theme", "accepted", "max_words", "confidence", "temperature"]) {
      elements[name].value = String(chosen[name]);
    }
    elements.language.value = chosen.language ?? this.#words.language;
    elements.announce.checked = chosen.announce;
    elements.keep_text.checked = chosen.keep_text;
    this.#context(elements.context);
    const { number, percent } = bound(this.#words);
    const sure = { percent: percent(chosen.confidence) };
    const length = chosen.max_words === 1 ? "length_value_one" : "length_value";
    this.#value("max_words", this.#words.say(length, { count: number(chosen.max_words) }));
    const confidence = chosen.confidence ? "confidence_value" : "confidence_value_zero";
    this.#value("confidence", this.#words.say(confidence, sure));
    this.#value("temperature", number(chosen.temperature));
  }

  #context(slider) {
    const chosen = this.#preferences;
    const inWords = chosen.unit === "words";
    const step = this.#limit < 4 * STEP ? 1 : STEP;
    Object.assign(slider, inWords ? WORDS : { min: step, max: this.#limit, step });
    const half = Math.floor(this.#limit / 2);
    const tokens = Math.min(chosen.context_tokens ?? half, this.#limit);
    const count = inWords ? chosen.context_words : tokens;
    slider.value = String(count);
    const unit = inWords ? "words_value" : "tokens_value";
    this.#value("context", this.#words.say(unit, { count: this.#words.number(count) }));
    const seen = this.#words.say("seen", { count: this.#words.number(this.#seen) });
    setText(this.#form.querySelector("#context-seen"), this.#seen ? seen : "");
  }

  #value(name, text) {
    setText(this.#form.querySelector(`#${name}-value`), text);
    this.#form.elements[name].setAttribute("aria-valuetext", text);
  }

  #changed(element) {
    const chosen = this.#preferences;
    const { value } = element;
    let name = element.name;
    if (element.id === "context") {
      name = chosen.unit === "words" ? "context_words" : "context_tokens";
      chosen[name] = Number(value);
    } else if (!(name in chosen) || name === "place") {
      return; // another part's
    } else {
      const number = element.type === "range" ? Number(value) : value;
      chosen[name] = element.type === "checkbox" ? element.checked : number;
    }
    this.fill();
    this.#onChange(name);
  }

  #reset() {
    for (const name of [...SUGGESTIONS, "confidence"]) this.#preferences[name] = DEFAULTS[name];
    this.fill();
    this.#onChange("unit");
  }
}

function bound(words) {
  return { number: (value) => words.number(value), percent: (value) => words.percent(value) };
}
