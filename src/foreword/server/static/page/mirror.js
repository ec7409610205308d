import { setText } from "./set_text.js";

/**
 * The text laid out once more beneath and above the textarea, which alone has the reader's text,
 * caret and undo: marks shine through from below, and the suggestion stands above, behind the
 * cursor. Nothing here touches the textarea, so input methods are left in peace.
 */
export class Mirror {
  #under;
  #over;
  #lines = [];
  #drawn = [];

  /** `under` gets one block for each line, `over` the line of the cursor with the suggestion. */
  constructor(under, over) {
    this.#under = under;
    this.#over = over;
  }

  /** Lays out a text with its marks. Only lines that changed are touched: 100,000 characters. */
  draw(text, marks) {
    const lines = text.split("\n");
    this.#match(lines);
    let start = 0;
    lines.forEach((line, index) => {
      const end = start + line.length;
      const marked = marks.ranges.length ? marks.between(start, end) : [];
      const look = marked.map((mark) => `${mark.start}-${mark.end}`).join();
      const drawn = this.#drawn[index];
      if (drawn.look !== look || drawn.line !== line) {
        drawn.line = line;
        drawn.look = look;
        paint(this.#under.children[index], line, marked);
      }
      start = end + 1;
    });
    this.#lines = lines;
  }

  /** Shows a suggestion at the end of a line; none where it is empty. */
  suggest(suggestion, index) {
    const over = this.#over;
    over.hidden = suggestion === "";
    if (over.hidden) return;
    const [before, ghost] = over.children;
    const block = this.#under.children[index];
    setText(before, this.#lines[index]);
    setText(ghost, suggestion);
    over.style.setProperty("top", `${block.offsetTop}px`);
    const below = this.#lines[index + 1] ?? "";
    const covers = below !== "" && over.offsetHeight > block.offsetHeight;
    over.classList.toggle("covers", covers);
  }

  /** Makes as many blocks as there are lines, so that those that did not change keep theirs. */
  #match(lines) {
    const old = this.#lines;
    const most = Math.min(old.length, lines.length);
    let start = 0;
    while (start < most && old[start] === lines[start]) start += 1;
    let same = 0;
    while (same < most - start && old.at(-1 - same) === lines.at(-1 - same)) same += 1;
    const gone = old.length - lines.length;
    const place = Math.min(old.length, lines.length) - same;
    if (gone > 0) {
      for (let count = 0; count < gone; count += 1) this.#under.children[place].remove();
      this.#drawn.splice(place, gone);
    } else if (gone < 0) {
      const blocks = Array.from({ length: -gone }, () => newBlock());
      this.#under.insertBefore(fragment(blocks), this.#under.children[place] ?? null);
      this.#drawn.splice(place, 0, ...blocks.map(() => ({ line: null, look: "" })));
    }
  }
}

function newBlock() {
  const block = document.createElement("div");
  block.className = "line";
  return block;
}

/** A mark that fades from where it would be, had it been there since it was born. */
function newMark(born) {
  const mark = document.createElement("mark");
  mark.style.setProperty("animation-delay", `${Math.round(born - performance.now())}ms`);
  return mark;
}

function fragment(nodes) {
  const all = document.createDocumentFragment();
  all.append(...nodes);
  return all;
}

/** Fills a block: text, a mark, text, a mark … text; the nodes are used again where they fit. */
function paint(block, line, marks) {
  if (block.childNodes.length !== 2 * marks.length + 1) {
    const nodes = marks.flatMap(({ born }) => [new Text(), newMark(born)]);
    block.replaceChildren(...nodes, new Text());
  }
  let place = 0;
  marks.forEach(({ start, end }, index) => {
    block.childNodes[2 * index].data = line.slice(place, start);
    setText(block.childNodes[2 * index + 1], line.slice(start, end));
    place = end;
  });
  block.lastChild.data = line.slice(place);
}
