//! The pages in the repository that the table renders are what it renders now.

use std::path::Path;

#[allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "the tests read and write the pages; the crate does not"
)]
fn check(page: &str, rendered: &str) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(page);
    if std::env::var("OXICORN_BLESS").is_ok_and(|value| value == "1") {
        std::fs::create_dir_all(page.parent().expect("it has one"))
            .expect("a directory can be made");
        std::fs::write(&page, rendered).expect("the page can be written");
    }
    let kept = std::fs::read_to_string(&page).unwrap_or_default();
    assert!(
        kept == rendered,
        "{} is out of date: OXICORN_BLESS=1 cargo test -p oxicorn-settings --test manual",
        page.display()
    );
}

#[test]
fn the_manual_is_what_the_table_says() {
    check("docs/reference/settings.md", &settings::render::manual());
}

#[test]
fn the_conf_file_to_start_from_is_what_the_table_says() {
    check(
        "docs/reference/oxicorn.conf.py",
        &settings::render::conf_template(),
    );
}
