//! The manual page, as roff.

use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use crate::cli::arguments::{AFTER_HELP, USAGE, command};

/// The page, with the sections that its readers know from other pages.
pub fn page() -> String {
    let man = Man::new(command());
    let mut page = Vec::new();
    let written = man
        .render_title(&mut page)
        .and_then(|()| man.render_name_section(&mut page))
        .and_then(|()| section("SYNOPSIS", &USAGE.replace("       ", "")).to_writer(&mut page))
        .and_then(|()| man.render_description_section(&mut page))
        .and_then(|()| man.render_options_section(&mut page));
    written.expect("memory can be written to");
    for part in AFTER_HELP.split("\n\n") {
        let (heading, lines) = part.split_once(":\n").expect("each part has a heading");
        let written = section(&heading.to_uppercase(), lines).to_writer(&mut page);
        written.expect("memory can be written to");
    }
    String::from_utf8(page).expect("the help is UTF-8")
}

/// A section whose lines are kept as they are.
fn section(heading: &str, lines: &str) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", [heading]).control("nf", []);
    for line in lines.lines() {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
    roff
}
