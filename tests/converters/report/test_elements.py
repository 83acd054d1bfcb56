from converters.report.elements import Html, badge, element, folded, joined, table


def test_text_is_escaped_and_elements_are_not() -> None:
    inner = element("b", "<i>&'\"\x00")
    assert inner == "<b>&lt;i&gt;&amp;&#x27;&quot;</b>"
    assert element("p", inner, " <") == f"<p>{inner} &lt;</p>"
    assert joined(("<", Html("<br>")), "|") == "&lt;|<br>"


def test_attributes_are_escaped_and_named_as_in_html() -> None:
    made = element("a", href='"><script>', class_="x", aria_label="y", viewBox="0 0 1 1", title=None)
    assert made == '<a href="&quot;&gt;&lt;script&gt;" class="x" aria-label="y" viewBox="0 0 1 1"></a>'


def test_tables_have_a_caption_and_headings_for_columns_and_rows() -> None:
    made = table("Figures <1>", ("Name", "Value", "Note"), [("a<", "1", badge("passed"))], numbers=1)
    assert "<caption>Figures &lt;1&gt;</caption>" in made
    assert '<th scope="col" class="n">Value</th><th scope="col">Note</th>' in made
    assert '<th scope="row">a&lt;</th><td class="n">1</td><td><span class="badge passed">passed</span></td>' in made
    assert made.startswith('<div class="scroll" role="region" tabindex="0" aria-label="Figures &lt;1&gt;">')


def test_folded_content() -> None:
    assert folded("2 more", Html("<p>x</p>")) == "<details><summary>2 more</summary><p>x</p></details>"
    assert badge("not judged") == '<span class="badge not-judged">not judged</span>'
