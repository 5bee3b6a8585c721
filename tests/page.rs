//! The test page for browsers keeps to what its Content-Security-Policy and its readers' safety ask.

const HTML: &str = include_str!("../assets/page.html");
const JS: &str = include_str!("../assets/page.js");
const CSS: &str = include_str!("../assets/page.css");

#[test]
fn nothing_in_the_page_needs_a_policy_looser_than_self() {
    for inline in ["<style", "style=", " onclick", " onsubmit", " onload", "javascript:"] {
        assert!(!HTML.contains(inline), "{inline} in the page");
    }
    let scripts: Vec<_> = HTML.lines().filter(|line| line.contains("<script")).collect();
    assert_eq!(scripts, [r#"<script src="/page.js" defer></script>"#]);
    for (name, text) in [("page.html", HTML), ("page.js", JS), ("page.css", CSS)] {
        for outside in ["http://", "https://", "//cdn", "@import", "url("] {
            assert!(!text.contains(outside), "{outside} in {name}");
        }
    }
}

#[test]
fn what_a_peer_sends_reaches_the_page_as_text_only() {
    for unsafe_sink in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"] {
        assert!(!JS.contains(unsafe_sink), "{unsafe_sink} in page.js");
    }
}

#[test]
fn every_element_that_the_script_names_is_in_the_page() {
    let names: Vec<_> = JS.split("element(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(names.len() > 10, "{names:?}");
    for name in names {
        assert!(HTML.contains(&format!("id=\"{name}\"")), "no element {name}");
    }
}
