import { setText } from "./set_text.js";

/** Titles of failures, by code; the text is the server's own where there is none of ours. */
const TROUBLES = {
  loading: { title: "loading_title", text: "loading" },
  failed: { title: "failed_title", actions: ["retry"] },
  busy: { title: "busy_title", text: "busy", actions: ["retry"] },
  offline: { title: "offline_title", text: "offline", actions: ["retry"] },
  model: { title: "model_title", text: "model", actions: ["open_settings"] },
  api_key: { title: "api_key_title", text: "api_key", key: true },
  forbidden: { title: "forbidden_title" },
  device: { title: "device_title", actions: ["retry", "use_server"] },
  absent: { title: "absent_title", text: "absent", actions: ["open_settings", "use_server"] },
  trouble: { title: "trouble_title", actions: ["retry"] },
};

/**
 * What stands in the way of a suggestion, right below the text: in its place, where the reader
 * looks, and at the bottom of the window where the text goes on below it.
 */
export class Notice {
  #element;
  #words;
  #act;
  #shown = "";
  #keyTried = false;

  /**
   * `act` has a function for each action: retry, open_settings, use_server, and
   * use_key(key).
   */
  constructor(element, words, act) {
    this.#element = element;
    this.#words = words;
    this.#act = act;
    element.addEventListener("click", (event) => this.#clicked(event));
    element.querySelector("form").addEventListener("submit", (event) => {
      event.preventDefault();
      const field = element.querySelector("input");
      if (!field.value) return;
      this.#keyTried = true;
      this.#shown = "";
      this.#act.use_key(field.value);
      field.value = "";
    });
  }

  set words(words) {
    this.#words = words;
    this.#shown = "";
  }

  /** Shows a failure, else what is waited for, else a refusal ("input" or "output"). */
  show(problem, waiting, refused) {
    const state = JSON.stringify([problem, waiting, refused]);
    if (state === this.#shown) return;
    this.#shown = state;
    if (problem) this.#trouble(problem);
    else if (waiting) this.#draw("waiting_title", waiting);
    else if (refused) this.#draw("refused_title", this.#words.say(`refused_${refused}`));
    else this.#hide();
    this.#element.dataset.kind = problem?.code ?? refused ?? "";
  }

  #trouble({ code, message, waitS }) {
    const { title, text, actions = [], key = false } = TROUBLES[code] ?? TROUBLES.trouble;
    const words = this.#words;
    const seconds = words.say("seconds", { count: words.number(Math.ceil(waitS ?? 0)) });
    let said = text ? words.say(text, { seconds }) : message;
    if (key && this.#keyTried) said = `${words.say("api_key_wrong")} ${said}`;
    this.#draw(title, said, actions, key);
  }

  #draw(title, text, actions = [], key = false) {
    const element = this.#element;
    setText(element.querySelector("h2"), this.#words.say(title));
    setText(element.querySelector("p"), text);
    for (const button of element.querySelectorAll("[data-act]")) {
      button.hidden = !actions.includes(button.dataset.act);
    }
    const form = element.querySelector("form");
    const asked = form.hidden && key;
    form.hidden = !key;
    element.hidden = false;
    if (asked) element.querySelector("input").focus();
  }

  #hide() {
    this.#keyTried = false;
    this.#element.querySelector("form").hidden = true;
    this.#element.hidden = true;
  }

  #clicked(event) {
    const action = event.target.closest("[data-act]")?.dataset.act;
    if (action) this.#act[action]();
  }
}
