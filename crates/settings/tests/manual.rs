//! The manual in the repository is the one that the table renders.

use std::path::Path;

#[test]
#[allow(
    clippy::disallowed_methods,
    reason = "the test reads and writes the page; the crate does not"
)]
fn the_manual_is_what_the_table_says() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/settings.md");
    let rendered = settings::render::manual();
    if std::env::var("OXICORN_BLESS").is_ok_and(|value| value == "1") {
        std::fs::create_dir_all(page.parent().expect("it has one"))
            .expect("a directory can be made");
        std::fs::write(&page, &rendered).expect("the page can be written");
    }
    let kept = std::fs::read_to_string(&page).unwrap_or_default();
    assert!(
        kept == rendered,
        "{} is out of date: OXICORN_BLESS=1 cargo test -p oxicorn-settings --test manual",
        page.display()
    );
}
