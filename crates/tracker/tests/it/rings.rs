//! No ring of modules: what a module uses does not use that module, not by any way round, in any crate.
//!
//! A module is a file. It uses another where it names what is defined there: by `use`, or by a path where it
//! is needed. Names that are passed on (`pub use`) are followed to where they are defined, and passing on is
//! no use, unless the module needs the name itself. What is compiled for tests alone is left out.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// A piece of source: a word, a mark, or what opens or closes a group.
struct Token {
    text: String,
    is_word: bool,
    line: usize,
}

fn tokens(source: &str) -> Vec<Token> {
    fn flatten(stream: TokenStream, tokens: &mut Vec<Token>) {
        for tree in stream {
            let line = tree.span().start().line;
            let mut push = |text: String, is_word, line| tokens.push(Token { text, is_word, line });
            match tree {
                TokenTree::Ident(word) => push(word.to_string(), true, line),
                TokenTree::Punct(mark) => push(mark.to_string(), false, line),
                TokenTree::Literal(_) => push("\"\"".to_owned(), false, line),
                TokenTree::Group(group) => {
                    let (open, close) = match group.delimiter() {
                        Delimiter::Parenthesis => ("(", ")"),
                        Delimiter::Brace => ("{", "}"),
                        Delimiter::Bracket => ("[", "]"),
                        Delimiter::None => ("", ""),
                    };
                    push(open.to_owned(), false, line);
                    flatten(group.stream(), tokens);
                    let line = group.span_close().start().line;
                    tokens.push(Token { text: close.to_owned(), is_word: false, line });
                }
            }
        }
    }
    let mut all = Vec::new();
    flatten(source.parse().expect("Rust"), &mut all);
    without_tests(all)
}

/// All but the items under `#[cfg(test)]`.
fn without_tests(tokens: Vec<Token>) -> Vec<Token> {
    let mut kept = Vec::new();
    let mut rest = tokens.into_iter().peekable();
    let mut skip_to_end_of_item = false;
    while let Some(token) = rest.next() {
        let is_attribute = token.text == "#" && rest.peek().is_some_and(|next| next.text == "[");
        if is_attribute {
            let mut attribute = vec![token];
            let mut depth = 0;
            for token in rest.by_ref() {
                depth += match token.text.as_str() {
                    "[" => 1,
                    "]" => -1,
                    _ => 0,
                };
                attribute.push(token);
                if depth == 0 {
                    break;
                }
            }
            let has = |word: &str| attribute.iter().any(|token| token.text == word);
            skip_to_end_of_item |= has("cfg") && has("test") && !has("not");
            if !skip_to_end_of_item {
                kept.append(&mut attribute);
            }
        } else if skip_to_end_of_item {
            skip_to_end_of_item = false;
            let (mut depth, mut is_use, mut token) = (0, false, Some(token));
            while let Some(Token { text, .. }) = &token {
                is_use |= text == "use";
                depth += match text.as_str() {
                    "{" | "(" | "[" => 1,
                    "}" | ")" | "]" => -1,
                    _ => 0,
                };
                if depth == 0 && (text == ";" || text == "}" && !is_use) {
                    break;
                }
                token = rest.next();
            }
        } else {
            kept.push(token);
        }
    }
    kept
}

/// A path that a module names.
struct Named {
    path: Vec<String>,
    line: usize,
    /// The name it is passed on by; `None` where the module needs it itself.
    passed_on: Option<String>,
}

/// What a file says.
#[derive(Default)]
struct Module {
    children: BTreeSet<String>,
    defined: BTreeSet<String>,
    /// Names brought in, and what they stand for.
    imported: BTreeMap<String, Vec<String>>,
    /// Modules all of whose names are brought in.
    imported_whole: Vec<Vec<String>>,
    named: Vec<Named>,
    /// All words outside of `use`, and the line of the first.
    words: BTreeMap<String, usize>,
}

impl Module {
    fn read(source: &str) -> Self {
        const DEFINES: [&str; 8] = ["struct", "enum", "trait", "fn", "const", "static", "type", "union"];
        let tokens = tokens(source);
        let is = |at: usize, text: &str| tokens.get(at).is_some_and(|token| token.text == text);
        let mut module = Self::default();
        let mut at = 0;
        // Where the braces of modules written within this file end: what they name is named from here.
        let (mut depth, mut within) = (0, Vec::new());
        while at < tokens.len() {
            let Token { text, is_word, line } = &tokens[at];
            match text.as_str() {
                "{" => depth += 1,
                "}" => depth -= 1,
                _ => {}
            }
            within.retain(|&end| end <= depth);
            if text == "use" && !is(at + 1, "<") {
                let before = at.checked_sub(1).map(|before| tokens[before].text.as_str());
                let passes_on = matches!(before, Some("pub" | ")"));
                at = module.read_use(&tokens, at + 1, &[], within.len(), passes_on);
            } else if text == "mod" && is(at + 2, "{") {
                within.push(depth + 1);
                at += 2;
            } else if text == "mod" && is(at + 2, ";") {
                module.children.insert(tokens[at + 1].text.clone());
                at += 3;
            } else if *is_word {
                let (mut path, mut end) = (vec![text.clone()], at + 1);
                while is(end, ":") && is(end + 1, ":") && tokens.get(end + 2).is_some_and(|next| next.is_word)
                {
                    path.push(tokens[end + 2].text.clone());
                    end += 3;
                }
                if DEFINES.contains(&text.as_str()) && tokens.get(at + 1).is_some_and(|next| next.is_word) {
                    module.defined.insert(tokens[at + 1].text.clone());
                }
                module.words.entry(text.clone()).or_insert(*line);
                if path.len() > 1 {
                    from_the_file(&mut path, within.len());
                    module.named.push(Named { path, line: *line, passed_on: None });
                }
                at = end;
            } else {
                at += 1;
            }
        }
        module
    }

    /// Reads what is behind `use`, or behind a `::{` or `,` in it, `deep` modules within the file; answers
    /// where it ends.
    fn read_use(
        &mut self,
        tokens: &[Token],
        mut at: usize,
        prefix: &[String],
        deep: usize,
        passes_on: bool,
    ) -> usize {
        let mut path = prefix.to_vec();
        let line = tokens[at].line;
        loop {
            match tokens[at].text.as_str() {
                "{" => {
                    at += 1;
                    while tokens[at].text != "}" {
                        at = self.read_use(tokens, at, &path, deep, passes_on);
                        if tokens[at].text == "," {
                            at += 1;
                        }
                    }
                    return at + 1;
                }
                "*" => {
                    from_the_file(&mut path, deep);
                    self.imported_whole.push(path);
                    return at + 1;
                }
                ":" => at += 1,
                "," | "}" | ";" | "as" => break,
                word => {
                    if word != "self" || path.is_empty() {
                        path.push(word.to_owned());
                    }
                    at += 1;
                }
            }
        }
        let mut name = path.last().cloned().unwrap_or_default();
        if tokens[at].text == "as" {
            name = tokens[at + 1].text.clone();
            at += 2;
        }
        from_the_file(&mut path, deep);
        self.imported.insert(name.clone(), path.clone());
        self.named.push(Named { path, line, passed_on: passes_on.then_some(name) });
        at
    }
}

/// A path that is written so many modules deep within a file, as the file would write it.
fn from_the_file(path: &mut Vec<String>, deep: usize) {
    let ups = path.iter().take_while(|name| *name == "super").count();
    if ups > 0 && ups <= deep {
        path.splice(..ups, ["self".to_owned()]);
    } else if deep > 0 {
        path.drain(..ups.min(deep));
    }
}

/// Where a path leads.
struct Target {
    module: String,
    /// Whether it names the module and nothing in it.
    whole: bool,
}

/// The modules of a crate by their paths; its root is `crate`.
#[derive(Default)]
struct Modules(BTreeMap<String, Module>);

impl Modules {
    /// Reads a crate from its root on; `source` gives what a module's file says.
    fn read(source: &dyn Fn(&[&str]) -> String) -> Self {
        let mut modules = Self::default();
        let mut open = vec!["crate".to_owned()];
        while let Some(name) = open.pop() {
            let path: Vec<&str> = name.split("::").skip(1).collect();
            let module = Module::read(&source(&path));
            open.extend(module.children.iter().map(|child| format!("{name}::{child}")));
            modules.0.insert(name, module);
        }
        modules
    }

    /// Where a path leads that a module names; `None` where that is out of the crate.
    fn target(&self, from: &str, path: &[String], follow: u8) -> Option<Target> {
        let mut rest = path;
        let mut here = from.to_owned();
        while let [first, more @ ..] = rest {
            match first.as_str() {
                "crate" => here = "crate".to_owned(),
                "self" => {}
                "super" => here = here.rsplit_once("::")?.0.to_owned(),
                _ => break,
            }
            rest = more;
        }
        let starts_here = rest.len() == path.len();
        while let [name, more @ ..] = rest {
            let module = &self.0[&here];
            if module.children.contains(name) {
                here = format!("{here}::{name}");
                rest = more;
                continue;
            }
            let follow = follow.checked_sub(1)?;
            if let Some(imported) = module.imported.get(name).filter(|&imported| imported != path) {
                let onward: Vec<String> = imported.iter().chain(more).cloned().collect();
                return self.target(&here, &onward, follow);
            }
            if module.defined.contains(name) {
                break;
            }
            if let Some(module) = self.defining(&here, name, follow).filter(|module| *module != here) {
                let onward: Vec<String> = [&"self".to_owned()].into_iter().chain(rest).cloned().collect();
                return self.target(&module, &onward, follow);
            }
            if starts_here && rest.len() == path.len() {
                return None;
            }
            break;
        }
        Some(Target { module: here, whole: rest.is_empty() })
    }

    /// The module that defines a name which is known in another, by whatever way it came there.
    fn defining(&self, within: &str, name: &str, follow: u8) -> Option<String> {
        let follow = follow.checked_sub(1)?;
        let (mut open, mut seen) = (vec![within.to_owned()], BTreeSet::new());
        while let Some(here) = open.pop() {
            let module = &self.0[&here];
            if module.defined.contains(name) {
                return Some(here);
            }
            if let Some(path) = module.imported.get(name) {
                let target = self.target(&here, path, follow)?;
                return (!target.whole).then_some(target.module);
            }
            // The variants of an enum, brought in whole, are no names of a module.
            let of_modules = module.imported_whole.iter().filter(|whole| {
                matches!(whole[0].as_str(), "crate" | "super" | "self") || module.children.contains(&whole[0])
            });
            for whole in of_modules.filter_map(|whole| self.target(&here, whole, follow)) {
                if seen.insert(whole.module.clone()) {
                    open.push(whole.module);
                }
            }
        }
        None
    }

    /// What each module uses, and the lines that say so.
    fn uses(&self) -> BTreeMap<&str, BTreeMap<String, BTreeSet<usize>>> {
        let mut all = BTreeMap::new();
        for (name, module) in &self.0 {
            let uses: &mut BTreeMap<String, BTreeSet<usize>> = all.entry(name.as_str()).or_default();
            let mut note = |used: String, line: usize| {
                if used != *name {
                    uses.entry(used).or_default().insert(line);
                }
            };
            for Named { path, line, passed_on } in &module.named {
                let Some(target) = self.target(name, path, 16) else { continue };
                let line = match passed_on {
                    None => Some(*line),
                    Some(name) => module.words.get(name).copied(),
                };
                if let Some(line) = line.filter(|_| !target.whole) {
                    note(target.module, line);
                }
            }
            for whole in &module.imported_whole {
                let Some(whole) = self.target(name, whole, 16).filter(|whole| whole.module != *name) else {
                    continue;
                };
                for (word, &line) in &module.words {
                    if let Some(defining) = self.defining(&whole.module, word, 16) {
                        note(defining, line);
                    }
                }
            }
        }
        all
    }

    /// Every ring, with the lines that make it.
    fn rings(&self) -> Vec<String> {
        let uses = self.uses();
        let reached = |from: &str| {
            let (mut reached, mut open) = (BTreeSet::new(), vec![from.to_owned()]);
            while let Some(name) = open.pop() {
                for used in uses[name.as_str()].keys() {
                    if reached.insert(used.clone()) {
                        open.push(used.clone());
                    }
                }
            }
            reached
        };
        let reached: BTreeMap<&str, BTreeSet<String>> =
            uses.keys().map(|&name| (name, reached(name))).collect();
        let mut rings = BTreeSet::new();
        for (&name, to) in &reached {
            if to.contains(name) {
                let ring = to.iter().filter(|other| reached[other.as_str()].contains(name));
                rings.insert(ring.map(String::as_str).collect::<Vec<_>>());
            }
        }
        let told = rings.iter().map(|ring| {
            let mut text = ring.join(" ↔ ");
            for &name in ring {
                for (used, lines) in uses[name].iter().filter(|(used, _)| ring.contains(&used.as_str())) {
                    let _ = write!(text, "\n    {name} uses {used} in lines {lines:?}");
                }
            }
            text
        });
        told.collect()
    }
}

/// A crate in texts: the path of each module in it, and what its file says.
fn of_texts(files: &[(&str, &str)]) -> Vec<String> {
    let files: BTreeMap<&str, &str> = files.iter().copied().collect();
    Modules::read(&|path| files[path.join("::").as_str()].to_owned()).rings()
}

/// A crate on the disk, from its root file on.
fn on_disk(root: &Path) -> Modules {
    let folder = root.parent().expect("a folder");
    let source = |path: &[&str]| {
        let base = folder.join(PathBuf::from_iter(path));
        let candidates = [base.with_extension("rs"), base.join("mod.rs")];
        let file = if path.is_empty() {
            Some(root)
        } else {
            candidates.iter().map(PathBuf::as_path).find(|file| file.exists())
        };
        std::fs::read_to_string(file.unwrap_or_else(|| panic!("{} has no file", base.display())))
            .expect("a file")
    };
    Modules::read(&source)
}

#[test]
fn no_modules_use_each_other_in_a_ring() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the folder of all crates");
    let mut told = String::new();
    for entry in std::fs::read_dir(crates).expect("the folder of all crates") {
        for root in ["src/lib.rs", "src/main.rs"] {
            let root = entry.as_ref().expect("a crate").path().join(root);
            if root.exists() {
                for ring in on_disk(&root).rings() {
                    let _ = writeln!(told, "{}: {ring}", root.display());
                }
            }
        }
    }
    assert!(told.is_empty(), "modules use each other in a ring:\n{told}");
}

/// What lies further down may use what lies further up.
const FOLDERS_OF_CORE: [&str; 6] = ["market", "statistics", "rule", "alert", "subscription", "delivery"];

#[test]
fn the_folders_of_core_use_each_other_one_way() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/src/lib.rs");
    let core = on_disk(&root);
    let rank = |module: &str| {
        let folder = module.split("::").nth(1)?;
        FOLDERS_OF_CORE.iter().position(|one| *one == folder)
    };
    for (module, uses) in core.uses() {
        for (used, lines) in uses {
            let is_below = rank(module).zip(rank(&used)).is_none_or(|(user, used)| used <= user);
            assert!(is_below, "{module} uses {used} in lines {lines:?}");
        }
    }
    let ranked: BTreeSet<_> = core.0.keys().filter_map(|module| rank(module)).collect();
    assert_eq!(ranked.len(), FOLDERS_OF_CORE.len(), "each is there");
}

#[test]
fn a_ring_is_found_however_it_is_written() {
    let two = "mod a; mod b;";
    let ring = |a, b| of_texts(&[("", two), ("a", a), ("b", b)]).len();
    assert_eq!(ring("use crate::b::B; struct A(B);", "use crate::a::A; struct B(A);"), 1);
    assert_eq!(ring("struct A(crate::b::B);", "struct B(super::a::A);"), 1, "by paths where they are needed");
    assert_eq!(ring("use super::b; struct A(b::B);", "use crate::{a::{self, A}}; struct B(A);"), 1);
    assert_eq!(ring("struct A;", "use crate::a::A; struct B(A);"), 0);
    assert_eq!(
        ring("struct A; #[cfg(test)] mod tests { use crate::b::B; }", "use crate::a::A; struct B(A);"),
        0
    );
    assert_eq!(ring("use crate::b; struct A;", "use crate::a::A;"), 0, "nothing is used of b");
    assert_eq!(
        ring("use crate::b::*; struct A(B);", "use crate::a::*; struct B(A);"),
        1,
        "by all names at once"
    );
    assert_eq!(
        ring("use crate::b::*; struct A;", "use crate::a::*; struct B(A);"),
        0,
        "none of them is needed"
    );
    let inline = "mod deep { fn f() { super::g(); super::super::a::A; } } fn g() {} struct B;";
    assert_eq!(ring("use crate::b::B; struct A(B);", inline), 1, "from a module within the file");
    let inline = "mod deep { use super::super::a::A; fn f(a: A) {} } struct B;";
    assert_eq!(ring("use crate::b::B; struct A(B);", inline), 1, "by a `use` there");
    let inline = "mod deep { use super::*; fn f() { super::g(); } } fn g() {} struct B;";
    assert_eq!(ring("use crate::b::B; struct A(B);", inline), 0, "a file is one module");
}

#[test]
fn what_is_passed_on_belongs_to_where_it_is_defined() {
    let ring = |root, a, b| of_texts(&[("", root), ("a", a), ("b", b)]).len();
    let root = "mod a; mod b; pub use a::A; pub use b::*;";
    assert_eq!(ring(root, "struct A;", "use crate::A; struct B(A);"), 0, "the root only passes A on");
    assert_eq!(ring(root, "use crate::B; struct A(B);", "use crate::A; struct B(A);"), 1);
    let root = "mod a; mod b; pub use a::A; struct Root(A);";
    assert_eq!(ring(root, "use crate::Root; struct A;", "struct B;"), 1, "the root needs A itself");
    let root = "mod a; mod b; use a::A; fn root(a: A) {} struct Shared;";
    assert_eq!(ring(root, "use super::Shared; struct A(Shared);", "struct B;"), 1, "a child and its parent");
}
