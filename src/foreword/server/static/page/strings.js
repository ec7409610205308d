/**
 * Every word the page says, in each of its languages. `{name}` is replaced by a value.
 * The same keys in every language: tests/browser and web/test hold that.
 */
export const STRINGS = {
  en: {
    language: "English",
    description: "A page to write on. What may come next stands in grey behind the cursor.",
    text: "Your text",
    placeholder: "Begin to write …",
    keys_help:
      "Suggestions appear behind the cursor. Tab accepts all of one, {word} its next word, " +
      "{next} shows another, Escape none.",

    undo: "Undo",
    redo: "Redo",
    copy: "Copy all",
    copied: "Copied",
    not_copied: "The browser did not allow copying",
    clear: "Clear",
    cleared: "Cleared; Undo brings it back",
    settings: "Settings",
    close: "Close settings",

    accept: "Accept",
    word: "Word",
    next: "Another",
    dismiss: "Dismiss",
    actions: "What to do with the suggestion",
    tools: "The text",

    sure: "{percent} sure",
    milliseconds: "{count} ms",
    unsure: "not sure enough to suggest",
    no_other: "no other suggestion",
    seen: "It looks at the last {count} tokens of your text now.",
    said_suggestion: "Suggestion: {text}",
    said_accepted: "Accepted: {text}",

    refused_title: "Mind your language!",
    refused_input:
      "There is a word here that Foreword does not go on from. Change it or take it out, and " +
      "suggestions come back.",
    refused_output:
      "Only rude words came to mind here, so nothing is suggested. Write on, or say it in " +
      "another way.",

    loading_title: "The model is loading",
    loading: "Write as you like: suggestions begin by themselves in a moment.",
    failed_title: "The model could not be loaded",
    busy_title: "Many are writing just now",
    busy: "Suggestions pause for {seconds}, then begin by themselves.",
    offline_title: "The server does not answer",
    offline:
      "Your text is safe on this page. Suggestions come back with the connection; is the server " +
      "still running?",
    model_title: "There is no such model",
    model: "Choose another one in the settings.",
    api_key_title: "This server asks for a key",
    api_key: "It was set when the server was started. It is forgotten when you close this tab.",
    api_key_label: "API key",
    api_key_wrong: "That key was not accepted.",
    api_key_use: "Use this key",
    forbidden_title: "The server does not take requests from this address",
    device_title: "The model does not run on this device",
    absent_title: "The model is not on this device yet",
    absent: "Download it once in the settings, or run on the server.",
    waiting_title: "Getting ready",
    trouble_title: "No suggestion",
    seconds: "{count} s",
    retry: "Try again",
    open_settings: "Open settings",
    use_server: "Run on the server",

    suggestions: "Suggestions",
    context: "Looks back",
    context_unit: "Counted in",
    tokens: "tokens",
    words: "words",
    tokens_value: "{count} tokens",
    words_value: "{count} words",
    length: "Length",
    length_value: "up to {count} words",
    length_value_one: "one word",
    temperature: "Temperature",
    temperature_help: "0 takes the likeliest word; higher is more surprising.",
    confidence: "Shown when",
    confidence_value: "at least {percent} sure",
    confidence_value_zero: "always",
    defaults: "Back to the defaults",

    place: "Where it runs",
    place_server: "On the server",
    place_server_help: "The end of your text goes to the server that gave you this page.",
    place_device: "On this device",
    place_device_help: "Your text does not leave the browser, and it works offline.",
    model_label: "Model",
    download: "Download {size}",
    download_unknown: "Download",
    download_once: "Fetched once and kept in the browser.",
    downloading: "Fetching: {done} of {total}",
    checking: "Checking what was fetched",
    preparing: "Loading the model",
    on_device: "Ready on this device: {size}",
    cancel: "Cancel",
    remove: "Remove from this device",
    no_device_wasm_simd: "This browser is too old to run a model: it lacks WebAssembly SIMD.",
    no_device_storage: "This browser has no room to keep a model, or is in private mode.",
    no_device_not_built: "This server was installed without the files for it.",
    no_device_model: "This model cannot run in a browser.",
    no_device_insecure: "A browser runs models only for pages it can trust: open this one over HTTPS, or at localhost.",
    no_device_other: "This browser cannot run a model ({reason}).",
    megabytes: "{count} MB",

    page: "This page",
    appearance: "Appearance",
    auto: "Auto",
    light: "Light",
    dark: "Dark",
    language_label: "Language",
    accepted_text: "Accepted text is marked",
    fade: "briefly",
    stay: "always",
    off: "never",
    announce: "Read suggestions out to screen readers",
    keep_text: "Keep the text when this tab is reloaded",
    keep_text_help: "In this tab only; closing it forgets the text.",
  },

  ko: {
    language: "한국어",
    description: "글을 쓰는 페이지입니다. 이어질 말이 커서 뒤에 회색으로 나타납니다.",
    text: "내 글",
    placeholder: "글을 써 보세요 …",
    keys_help:
      "커서 뒤에 제안이 나타납니다. Tab은 전체를, {word}는 다음 낱말을 받아들이고, " +
      "{next}는 다른 제안을 보여 주며, Esc는 제안을 숨깁니다.",

    undo: "실행 취소",
    redo: "다시 실행",
    copy: "모두 복사",
    copied: "복사했습니다",
    not_copied: "브라우저가 복사를 허용하지 않았습니다",
    clear: "모두 지우기",
    cleared: "지웠습니다. 실행 취소로 되돌릴 수 있습니다",
    settings: "설정",
    close: "설정 닫기",

    accept: "받기",
    word: "낱말",
    next: "다른 제안",
    dismiss: "숨기기",
    actions: "제안에 할 일",
    tools: "글",

    sure: "확신 {percent}",
    milliseconds: "{count}ms",
    unsure: "확신이 부족해 제안하지 않음",
    no_other: "다른 제안 없음",
    seen: "지금은 글의 마지막 토큰 {count}개를 봅니다.",
    said_suggestion: "제안: {text}",
    said_accepted: "받아들임: {text}",

    refused_title: "고운 말을 써 주세요!",
    refused_input:
      "Foreword가 이어 쓰지 않는 낱말이 있습니다. 그 낱말을 바꾸거나 지우면 제안이 다시 나타납니다.",
    refused_output:
      "여기서는 거친 말만 떠올라 제안하지 않습니다. 계속 쓰거나 다르게 표현해 보세요.",

    loading_title: "모델을 불러오는 중입니다",
    loading: "그대로 쓰셔도 됩니다. 잠시 뒤 제안이 저절로 시작됩니다.",
    failed_title: "모델을 불러오지 못했습니다",
    busy_title: "지금 쓰는 사람이 많습니다",
    busy: "제안을 {seconds} 쉬었다가 저절로 다시 시작합니다.",
    offline_title: "서버가 응답하지 않습니다",
    offline:
      "글은 이 페이지에 그대로 있습니다. 연결되면 제안이 돌아옵니다. 서버가 켜져 있는지 확인해 주세요.",
    model_title: "그런 모델이 없습니다",
    model: "설정에서 다른 모델을 고르세요.",
    api_key_title: "이 서버에는 키가 필요합니다",
    api_key: "서버를 시작할 때 정한 키입니다. 이 탭을 닫으면 잊습니다.",
    api_key_label: "API 키",
    api_key_wrong: "그 키는 받아들여지지 않았습니다.",
    api_key_use: "이 키 쓰기",
    forbidden_title: "서버가 이 주소에서 온 요청을 받지 않습니다",
    device_title: "이 기기에서 모델이 실행되지 않습니다",
    absent_title: "모델이 아직 이 기기에 없습니다",
    absent: "설정에서 한 번 내려받거나, 서버에서 실행하세요.",
    waiting_title: "준비하고 있습니다",
    trouble_title: "제안 없음",
    seconds: "{count}초",
    retry: "다시 시도",
    open_settings: "설정 열기",
    use_server: "서버에서 실행",

    suggestions: "제안",
    context: "살펴볼 길이",
    context_unit: "세는 단위",
    tokens: "토큰",
    words: "낱말",
    tokens_value: "토큰 {count}개",
    words_value: "낱말 {count}개",
    length: "길이",
    length_value: "낱말 {count}개까지",
    length_value_one: "낱말 하나",
    temperature: "온도",
    temperature_help: "0은 가장 그럴듯한 말을 고르고, 높을수록 뜻밖의 말이 나옵니다.",
    confidence: "보여 줄 때",
    confidence_value: "확신 {percent} 이상",
    confidence_value_zero: "언제나",
    defaults: "기본값으로",

    place: "실행하는 곳",
    place_server: "서버에서",
    place_server_help: "글의 끝부분이 이 페이지를 보내 준 서버로 갑니다.",
    place_device: "이 기기에서",
    place_device_help: "글이 브라우저를 떠나지 않고, 오프라인에서도 됩니다.",
    model_label: "모델",
    download: "{size} 내려받기",
    download_unknown: "내려받기",
    download_once: "한 번만 받아 브라우저에 둡니다.",
    downloading: "받는 중: {total} 중 {done}",
    checking: "받은 파일 확인 중",
    preparing: "모델을 불러오는 중",
    on_device: "이 기기에 준비됨: {size}",
    cancel: "취소",
    remove: "이 기기에서 지우기",
    no_device_wasm_simd: "이 브라우저는 오래되어 모델을 실행할 수 없습니다(WebAssembly SIMD 없음).",
    no_device_storage: "이 브라우저에는 모델을 둘 공간이 없거나 비공개 모드입니다.",
    no_device_not_built: "이 서버에는 그에 필요한 파일이 설치되어 있지 않습니다.",
    no_device_model: "이 모델은 브라우저에서 실행할 수 없습니다.",
    no_device_insecure: "브라우저는 믿을 수 있는 페이지에서만 모델을 실행합니다. HTTPS나 localhost로 여세요.",
    no_device_other: "이 브라우저는 모델을 실행할 수 없습니다({reason}).",
    megabytes: "{count}MB",

    page: "이 페이지",
    appearance: "화면",
    auto: "자동",
    light: "밝게",
    dark: "어둡게",
    language_label: "언어",
    accepted_text: "받아들인 글 표시",
    fade: "잠깐",
    stay: "항상",
    off: "안 함",
    announce: "화면 낭독기로 제안 읽기",
    keep_text: "이 탭을 새로 고쳐도 글 남기기",
    keep_text_help: "이 탭에만 남고, 닫으면 잊습니다.",
  },
};

/** The language to begin in: the reader's first that the page knows, else English. */
export function preferredLanguage(languages) {
  const known = languages.map((tag) => tag.toLowerCase().split("-")[0]);
  return known.find((tag) => Object.hasOwn(STRINGS, tag)) ?? "en";
}

/** Says the page's words in one language, and its numbers as that language writes them. */
export class Words {
  constructor(language) {
    this.language = language;
    this.#strings = STRINGS[language];
    this.#number = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });
    this.#percent = new Intl.NumberFormat(language, { style: "percent" });
  }

  #strings;
  #number;
  #percent;

  /** The string of a key with its values put in; an unknown key is a mistake of the page's. */
  say(key, values = {}) {
    const text = this.#strings[key];
    if (text === undefined) throw new Error(`no string ${key} in ${this.language}`);
    return text.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
  }

  number(value) {
    return this.#number.format(value);
  }

  percent(value) {
    return this.#percent.format(value);
  }

  megabytes(bytes) {
    return this.say("megabytes", { count: this.number(Math.round(bytes / 1e6)) });
  }

  /** Puts words in place of every `data-say`, `data-say-label`, `data-say-placeholder`. */
  fill(root) {
    for (const element of root.querySelectorAll("[data-say]")) {
      element.textContent = this.say(element.dataset.say);
    }
    for (const element of root.querySelectorAll("[data-say-label]")) {
      const label = this.say(element.dataset.sayLabel);
      element.setAttribute("aria-label", label);
      if (element.matches("button")) element.title = label;
    }
    for (const element of root.querySelectorAll("[data-say-placeholder]")) {
      element.placeholder = this.say(element.dataset.sayPlaceholder);
    }
  }
}
