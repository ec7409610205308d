"""Writing on the page: suggestions, what is done with them, and what they leave alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from desk import Desk
from page_server import Json, Served, answer

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser


def test_what_may_follow_stands_behind_the_cursor(desk: Desk) -> None:
    desk.write("Thank you")
    desk.shows(" very much for the")
    desk.says(r"^61% sure · \d+ ms$")
    assert desk.text == "Thank you"


def test_the_first_words_show_before_the_last_are_known(desk: Desk, served: Served) -> None:
    served.gate.clear()
    desk.write("Thank you")
    desk.shows(" very")
    served.gate.set()
    desk.shows(" very much for the")


def test_letters_that_agree_ask_nothing_and_leave_the_rest(desk: Desk, served: Served) -> None:
    desk.write("Thank you")
    desk.shows(" very much for the")
    desk.says(r"\d ms")
    desk.type(" very m")
    desk.shows("uch for the")
    assert "Thank you ve" not in served.texts


def test_every_key_asks_at_once_for_the_newest_text(desk: Desk, served: Served) -> None:
    desk.page.evaluate(
        """window.asked = [];
        const before = fetch;
        window.fetch = (path, how) => (asked.push(JSON.parse(how.body)), before(path, how));
        undefined"""
    )
    served.gate.clear()
    desk.type("Thank you")
    desk.shows(" very")
    asked = desk.page.evaluate("asked")
    assert [request["text"] for request in asked] == ["Thank you"[:end] for end in range(1, 10)]
    assert len({request["session"] for request in asked}) == 1


def test_tab_takes_all_and_what_follows_it_is_there(desk: Desk, served: Served) -> None:
    desk.write("Thank you")
    desk.shows(" very much for the")
    desk.press("Tab")
    desk.shows(" flowers.")
    assert desk.text == "Thank you very much for the"
    assert desk.mark.text_content() == "very much for the"


def test_control_right_takes_a_word(desk: Desk) -> None:
    desk.write("Thank you")
    desk.shows(" very much for the")
    desk.press("Control+ArrowRight")
    desk.shows(" much for the")
    assert desk.text == "Thank you very"


def test_escape_shows_none_until_the_text_changes(desk: Desk, served: Served) -> None:
    desk.write("Thank you")
    desk.shows(" very much for the")
    desk.press("Escape")
    desk.shows("")
    desk.write(" so")
    desk.says("not sure enough")
    desk.press("Backspace", "Backspace", "Backspace")
    desk.shows(" very much for the")


def test_alt_bracket_shows_another_and_comes_round(desk: Desk) -> None:
    desk.write("I'm enjoying a")
    desk.shows(" cup of coffee with")
    desk.press("Alt+BracketRight")
    desk.shows(" bit of a break.")
    desk.press("Alt+BracketRight")
    desk.shows(" long walk by the")
    desk.press("Alt+BracketRight")
    desk.shows(" cup of coffee with")


def test_where_there_is_no_other_it_says_so(desk: Desk) -> None:
    desk.write("Thank you")
    desk.shows(" very much for the")
    desk.press("Alt+BracketRight")
    desk.says("no other suggestion")
    desk.shows(" very much for the")


def test_buttons_do_what_the_keys_do_and_leave_the_cursor(desk: Desk) -> None:
    desk.write("I'm enjoying a")
    desk.shows(" cup of coffee with")
    desk.page.click("[data-do=next]")
    desk.shows(" bit of a break.")
    desk.page.click("[data-do=word]")
    desk.shows(" of a break.")
    desk.page.click("[data-do=accept]")
    assert desk.text == "I'm enjoying a bit of a break."
    desk.write(" Thank you")
    desk.shows(" very much for the")
    desk.page.click("[data-do=dismiss]")
    desk.shows("")
    assert desk.page.locator("[data-do=accept]").is_disabled()
    desk.type("!")
    assert desk.text.endswith("Thank you!")


def test_tab_without_a_suggestion_leaves_the_text(desk: Desk) -> None:
    desk.write("Zzz")
    desk.says("not sure enough")
    desk.press("Tab")
    desk.page.wait_for_function("() => document.activeElement.id !== 'text'")
    assert desk.text == "Zzz"


def test_undo_and_redo_hold_accepted_words_as_steps_of_their_own(desk: Desk) -> None:
    desk.write("Thank you")
    desk.shows(" very much for the")
    desk.press("Tab")
    desk.type(" dog")
    steps = ["Thank you very much for the dog", "Thank you very much for the", "Thank you", ""]
    assert desk.text == steps[0]
    for step in steps[1:]:
        desk.press("Control+z")
        assert desk.text == step
    assert desk.mark.count() == 0
    for step in reversed(steps[:-1]):
        desk.page.click("#redo")
        assert desk.text == step
    desk.page.click("#undo")
    assert desk.text == steps[1]


def test_clear_is_undone(desk: Desk) -> None:
    desk.write("Thank you")
    desk.shows(" very much for the")
    desk.press("Tab")
    desk.page.click("#clear")
    assert desk.text == ""
    desk.shows("")
    desk.page.click("#undo")
    assert desk.text == "Thank you very much for the"


def test_copy_takes_the_whole_text_without_the_suggestion(desk: Desk) -> None:
    desk.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    desk.write("Thank you")
    desk.shows(" very much for the")
    desk.page.click("#copy")
    desk.page.locator("#said", has_text="Copied").wait_for(state="attached")
    assert desk.page.evaluate("navigator.clipboard.readText()") == "Thank you"


def test_copy_without_the_clipboard_s_leave_goes_the_old_way(desk: Desk) -> None:
    desk.page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    desk.write("Thank you")
    desk.page.click("#copy")
    desk.page.locator("#said", has_text="Copied").wait_for(state="attached")
    desk.press("Control+v")
    assert desk.text == "Thank youThank you"


def test_pasting_and_quick_deleting_end_with_what_fits_the_text(desk: Desk) -> None:
    desk.write("One line.\nAnother.\n\nI'm enjoying a")
    desk.shows(" cup of coffee with")
    for _ in range(24):
        desk.press("Backspace")
    assert desk.text == "One line.\n"
    desk.shows("")
    desk.write("Thank you")
    desk.shows(" very much for the")
    desk.press("Control+a", "Delete")
    desk.shows("")
    assert desk.page.evaluate("under.children.length") == 1


def test_a_late_answer_to_an_older_text_is_not_shown(desk: Desk, served: Served) -> None:
    served.gate.clear()
    desk.write("Thank you")
    desk.shows(" very")
    desk.type(" so")
    desk.shows("")
    served.gate.set()
    desk.says("not sure enough")
    desk.shows("")


def test_inside_a_line_there_is_no_suggestion(desk: Desk, served: Served) -> None:
    desk.write("Thank you")
    desk.shows(" very much for the")
    desk.press("ArrowLeft")
    desk.shows("")
    desk.press("ArrowRight")
    desk.shows(" very much for the")
    desk.press("Shift+ArrowLeft")
    desk.shows("")


def test_at_the_end_of_an_inner_line_the_lines_below_keep_their_place(
    desk: Desk, served: Served
) -> None:
    long = " and so on" * 12
    served.answer = lambda request: {**answer(request), "items": [{"text": long, "tokens": 36}]}
    desk.write("A line\nThe next line.")
    height = desk.page.evaluate("under.offsetHeight")
    desk.press("ArrowUp", "End")
    desk.shows(long)
    assert desk.page.evaluate("under.offsetHeight") == height
    assert desk.page.evaluate("over.classList.contains('covers')")
    below, after = desk.page.evaluate(
        "[under.lastChild.getBoundingClientRect().top, over.getBoundingClientRect().bottom]"
    )
    assert after > below


def test_an_input_method_is_left_in_peace(desk: Desk, served: Served) -> None:
    desk.write("Thank you")
    desk.shows(" very much for the")
    ime = desk.page.context.new_cdp_session(desk.page)
    desk.page.evaluate(
        """window.seen = [];
        for (const name of ["input", "compositionstart", "compositionend"])
          text.addEventListener(name, (event) => seen.push([name, text.value]));
        window.touched = 0;
        const inner = Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value");
        Object.defineProperty(text, "value", {
          get() { return inner.get.call(text); }, set() { touched += 1; } });
        text.setSelectionRange = text.setRangeText = () => { touched += 1; };
        undefined"""
    )
    asked = len(served.requests)
    for letters in ("ㅎ", "하", "한"):
        place = {"selectionStart": 1, "selectionEnd": 1}
        ime.send("Input.imeSetComposition", {"text": letters, **place})
        desk.shows("")
        # What Tab and Escape do while it composes is the input method's affair.
        desk.page.evaluate(
            """for (const key of ["Tab", "Escape"]) text.dispatchEvent(
              new KeyboardEvent("keydown", { key, isComposing: true, cancelable: true }))"""
        )
    assert desk.text == "Thank you한"
    assert len(served.requests) == asked
    ime.send("Input.insertText", {"text": "한"})
    desk.says("not sure enough")
    assert desk.page.evaluate("touched") == 0
    assert desk.page.evaluate("seen.map(([name]) => name)") == [
        "compositionstart",
        "input",
        "input",
        "input",
        "input",
        "compositionend",
    ]
    assert served.texts[-1] == "Thank you한"


def test_suggestions_go_on_after_a_composition(desk: Desk) -> None:
    ime = desk.page.context.new_cdp_session(desk.page)
    for syllable in "안녕하세요":
        place = {"selectionStart": 1, "selectionEnd": 1}
        ime.send("Input.imeSetComposition", {"text": syllable, **place})
        ime.send("Input.insertText", {"text": syllable})
    desk.shows(" 여러분 반갑습니다.")
    desk.press("Tab")
    assert desk.text == "안녕하세요 여러분 반갑습니다."
    desk.press("Control+z")
    assert desk.text == "안녕하세요"


def test_accepted_text_is_marked_and_what_is_typed_inside_is_not(desk: Desk) -> None:
    desk.write("Thank you")
    desk.shows(" very much for the")
    desk.press("Tab", *["ArrowLeft"] * 4)
    desk.type("XY")
    assert desk.mark.all_text_contents() == ["very much for", " the"]


def test_marks_fade_away(page: Page, served: Served) -> None:
    page.clock.install()
    desk = Desk(page, served.address)
    desk.write("Thank you")
    desk.shows(" very much for the")
    desk.press("Tab")
    assert desk.mark.count() == 1
    page.clock.fast_forward(7000)
    assert desk.mark.count() == 0


def test_a_reload_of_the_tab_keeps_the_text_unless_told_not_to(desk: Desk) -> None:
    desk.write("Thank you")
    desk.page.reload()
    assert desk.text == "Thank you"
    desk.shows(" very much for the")
    desk.page.click("#open-settings")
    desk.page.uncheck("[name=keep_text]")
    desk.page.reload()
    assert desk.text == ""
    assert "Thank" not in desk.page.evaluate("JSON.stringify({...localStorage})")


def test_a_long_text_is_edited_without_laying_it_all_out_anew(desk: Desk, served: Served) -> None:
    paragraph = "The quick brown fox jumps over the lazy dog, and then it rests a while. " * 7
    desk.write("\n".join([paragraph] * 200))
    assert len(desk.text) > 100_000
    desk.page.evaluate(
        """window.changed = new Set();
        new MutationObserver((all) => all.forEach(({ target }) =>
          changed.add(target.nodeType === 3 ? target.parentNode : target)))
          .observe(under, { childList: true, characterData: true, subtree: true });"""
    )
    desk.press("Enter")
    desk.write("Thank you")
    desk.shows(" very much for the")
    assert desk.page.evaluate("changed.size") <= 2
    # Only the end that the model can take in is sent.
    assert len(served.texts[-1]) < 16_000
    caret = desk.page.evaluate("over.getBoundingClientRect().bottom <= innerHeight")
    assert caret, "the line that is written must be in sight"


def test_the_mirror_breaks_lines_as_the_textarea_does(desk: Desk) -> None:
    words = [f"{'w' * (1 + n * 7 % 13)}{'.,-'[n % 3]}" for n in range(300)]
    desk.write(" ".join(words) + "\n\n한글 텍스트도  두 칸 \tand a tab\n" * 9)
    heights = desk.page.evaluate(
        """() => {
          const area = text.cloneNode(); area.value = text.value; area.removeAttribute("id");
          area.style.setProperty("grid-area", "auto"); area.style.setProperty("height", "0");
          text.parentNode.parentNode.append(area);
          const heights = [area.scrollHeight, under.offsetHeight];
          area.remove();
          return heights;
        }"""
    )
    assert heights[0] == heights[1]


def test_an_answer_without_confidence_is_shown_without_it(desk: Desk, served: Served) -> None:
    def silent(request: Json) -> Json:
        whole = answer(request)
        items = [{**item, "confidence": None, "by_part": []} for item in whole["items"]]
        return {**whole, "items": items}

    served.answer = silent
    desk.write("Thank you")
    desk.shows(" very much for the")
    desk.says(r"\d ms")
    assert "sure" not in (desk.page.locator("#status").text_content() or "")
