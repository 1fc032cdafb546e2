//! The pages of the documentation, with their blocks and tables.

use std::fs;
use std::path::{Path, PathBuf};

/// A page of the documentation.
pub struct Page {
    path: PathBuf,
    pub text: String,
}

impl Page {
    /// The page at a path relative to the root of the repository.
    #[track_caller]
    pub fn read(path: impl Into<PathBuf>) -> Page {
        let path = path.into();
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(&path)).unwrap();
        Page { path, text }
    }

    /// README.md and every page in `docs`.
    pub fn all() -> Vec<Page> {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
        let names = docs.read_dir().unwrap().map(|entry| entry.unwrap().path());
        let mut paths: Vec<PathBuf> = names
            .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
            .map(|path| Path::new("docs").join(path.file_name().unwrap()))
            .collect();
        paths.sort();
        paths.insert(0, "README.md".into());
        paths.into_iter().map(Page::read).collect()
    }

    pub fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// The target of a link on this page, as a path from the root of the repository.
    pub fn target_of(&self, link: &str) -> PathBuf {
        let directory = self.path.parent().unwrap();
        let mut target = PathBuf::new();
        for component in directory.join(link).components() {
            match component.as_os_str().to_str() {
                Some("..") => assert!(target.pop(), "{link} leads outside"),
                _ => target.push(component),
            }
        }
        target
    }

    /// The anchor of each heading, as GitHub makes it.
    pub fn anchors(&self) -> Vec<String> {
        let prose = self.text.split("```").step_by(2);
        let lines = prose.flat_map(str::lines);
        let headings = lines.filter_map(|line| line.strip_prefix('#'));
        headings
            .map(|heading| {
                let heading = heading.trim_start_matches('#').trim().to_lowercase();
                let kept = heading.chars().filter_map(|c| match c {
                    ' ' => Some('-'),
                    '-' | '_' => Some(c),
                    c => c.is_alphanumeric().then_some(c),
                });
                kept.collect()
            })
            .collect()
    }

    /// Each block with its mark, which is `<!-- MARK -->` in the line before it.
    pub fn blocks(&self) -> Vec<(Option<&str>, &str)> {
        let parts: Vec<&str> = self.text.split("```").collect();
        let pairs = parts.chunks_exact(2);
        pairs
            .map(|pair| {
                let above = pair[0].trim_end().lines().last().unwrap_or("");
                let mark = above.strip_prefix("<!-- ");
                let mark = mark.and_then(|rest| rest.strip_suffix(" -->"));
                (mark, pair[1].split_once('\n').unwrap().1)
            })
            .collect()
    }

    /// The block after the mark `<!-- MARK -->`.
    #[track_caller]
    pub fn block(&self, mark: &str) -> String {
        let blocks = self.blocks();
        let mut marked = blocks.iter().filter(|(own, _)| *own == Some(mark));
        let (_, block) = marked
            .next()
            .unwrap_or_else(|| panic!("no block `{mark}` in {}", self.name()));
        assert!(marked.next().is_none(), "two blocks `{mark}`");
        (*block).to_owned()
    }

    /// The rows below the row `head`, cell by cell.
    #[track_caller]
    pub fn table(&self, head: &str) -> Vec<Vec<&str>> {
        let (_, rest) = self
            .text
            .split_once(&format!("{head}\n"))
            .unwrap_or_else(|| panic!("no {head:?}"));
        let rows = rest.lines().take_while(|line| line.starts_with('|'));
        rows.skip(1)
            .map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect())
            .collect()
    }
}
