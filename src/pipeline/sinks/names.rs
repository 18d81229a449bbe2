//! Names of files, none of which is given twice.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Paths that were given out. Clones know of each other's.
#[derive(Debug, Clone, Default)]
pub struct Names(Arc<Mutex<HashMap<PathBuf, u64>>>);

impl Names {
    /// `NAME.ENDING` in a folder; if that was given already, `NAME-2.ENDING` and so on.
    pub fn unused(&self, folder: &Path, name: &str, ending: &str) -> PathBuf {
        let mut given = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = folder.join(format!("{name}.{ending}"));
        let mut chosen = first.clone();
        while given.contains_key(&chosen) {
            let times = given.entry(first.clone()).or_default();
            *times += 1;
            chosen = folder.join(format!("{name}-{times}.{ending}"));
        }
        given.insert(chosen.clone(), 1);
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_give_other_names() {
        let names = Names::default();
        let one = |n: &Names, name| n.unused(Path::new("f"), name, "png").display().to_string();
        assert_eq!(one(&names, "a-2"), "f/a-2.png");
        assert_eq!(one(&names, "a"), "f/a.png");
        assert_eq!(one(&names.clone(), "a"), "f/a-3.png");
        assert_eq!(one(&names, "a"), "f/a-4.png");
    }
}
