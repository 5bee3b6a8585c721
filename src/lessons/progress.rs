//! How far the lessons are: a small file in the state folder.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The steps that are done, by lesson.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    file: Option<PathBuf>,
    done: BTreeMap<String, BTreeSet<usize>>,
    /// The file holds something else, and is put aside before it is written.
    is_damaged: bool,
}

/// More is no list of steps.
const MOST_BYTES: u64 = 64 << 10;

impl Progress {
    /// Reads what is kept in `folder`. Where that can't be read, the lessons begin anew, and the sentence says why.
    pub fn read(folder: &Path) -> (Self, Option<String>) {
        let file = folder.join("lessons.toml");
        let mut progress = Self { file: Some(file.clone()), ..Self::default() };
        let sentence = match load(&file) {
            Ok(Ok(done)) => {
                progress.done = done;
                None
            }
            Ok(Err(line)) => {
                progress.is_damaged = true;
                let file = file.display();
                Some(format!(
                    "{file}, line {line}: expected a lesson and its steps, such as masking = [1, 2]; the lessons begin anew"
                ))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => Some(format!("cannot read {}: {error}; the lessons begin anew", file.display())),
        };
        (progress, sentence)
    }

    /// Whether a step, from 0, is done.
    pub fn is_done(&self, lesson: &str, step: usize) -> bool {
        self.done.get(lesson).is_some_and(|steps| steps.contains(&step))
    }

    /// How many of the first `steps` of a lesson are done.
    pub fn count(&self, lesson: &str, steps: usize) -> usize {
        self.done.get(lesson).map_or(0, |done| done.range(..steps).count())
    }

    /// A step is done. The file is written whole or not at all; what another program has added to it stays.
    ///
    /// # Errors
    /// Why it can't be kept, in a sentence.
    pub fn add(&mut self, lesson: &str, step: usize) -> Result<(), String> {
        if !self.done.entry(lesson.to_owned()).or_default().insert(step) {
            return Ok(());
        }
        let Some(file) = self.file.clone() else { return Ok(()) };
        self.save(&file).map_err(|error| format!("the progress is not kept: cannot write {}: {error}", file.display()))
    }

    fn save(&mut self, file: &Path) -> io::Result<()> {
        if std::mem::take(&mut self.is_damaged) {
            fs::rename(file, file.with_extension("toml.damaged"))?;
        } else if let Ok(Ok(there)) = load(file) {
            for (lesson, steps) in there {
                self.done.entry(lesson).or_default().extend(steps);
            }
        }
        if let Some(folder) = file.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let new = file.with_extension(format!("toml.{}", std::process::id()));
        let written = File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)
            .and_then(|mut out| out.write_all(self.text().as_bytes()))
            .and_then(|()| fs::rename(&new, file));
        if written.is_err() {
            // half a file is of no use
            let _ = fs::remove_file(&new);
        }
        written
    }

    fn text(&self) -> String {
        let lines = self.done.iter().map(|(lesson, steps)| {
            let steps: Vec<_> = steps.iter().map(|step| (step + 1).to_string()).collect();
            format!("{lesson} = [{}]\n", steps.join(", "))
        });
        ["# the steps of wsinspect's lessons that are done\n".to_owned()].into_iter().chain(lines).collect()
    }
}

type Steps = BTreeMap<String, BTreeSet<usize>>;

/// What is in the file, or the line that is wrong.
fn load(file: &Path) -> io::Result<Result<Steps, usize>> {
    let mut bytes = Vec::new();
    File::open(file)?.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    let Ok(text) = String::from_utf8(bytes) else { return Ok(Err(1)) };
    if text.len() as u64 > MOST_BYTES {
        return Ok(Err(1));
    }
    let mut done = Steps::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        let Some((lesson, steps)) = parse(line) else { return Ok(Err(number)) };
        done.insert(lesson, steps);
    }
    Ok(Ok(done))
}

fn parse(line: &str) -> Option<(String, BTreeSet<usize>)> {
    let (lesson, steps) = line.split_once(" = ")?;
    let steps = steps.strip_prefix('[')?.strip_suffix(']')?;
    let numbers = steps.split(',').map(str::trim).filter(|step| !step.is_empty());
    let steps: Option<BTreeSet<usize>> = numbers.map(|step| step.parse::<usize>().ok()?.checked_sub(1)).collect();
    Some((lesson.to_owned(), steps?))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_is_done_is_there_the_next_time_and_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("wsinspect");
        let (mut progress, sentence) = Progress::read(&folder);
        assert_eq!(sentence, None);
        progress.add("masking", 2).unwrap();
        progress.add("ping", 0).unwrap();
        let (again, _) = Progress::read(&folder);
        assert!(again.is_done("masking", 2) && again.is_done("ping", 0) && !again.is_done("ping", 1));
        assert_eq!((again.count("masking", 9), again.count("masking", 2)), (1, 0));
        let mode = fs::metadata(folder.join("lessons.toml")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "nothing else is left there");
    }

    #[test]
    fn two_programs_keep_what_both_have_done() {
        let folder = tempfile::tempdir().unwrap();
        let (mut one, _) = Progress::read(folder.path());
        let (mut other, _) = Progress::read(folder.path());
        one.add("masking", 0).unwrap();
        other.add("masking", 1).unwrap();
        assert_eq!(Progress::read(folder.path()).0.count("masking", 9), 2);
    }

    #[test]
    fn a_damaged_file_is_a_sentence_and_is_put_aside() {
        for damage in ["masking = [1, x]", "masking", "masking = [0]", "\u{1b}[31m = 3"] {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("lessons.toml");
            fs::write(&file, format!("# lessons\n{damage}\n")).unwrap();
            let (mut progress, sentence) = Progress::read(folder.path());
            assert!(sentence.unwrap().contains("line 2: expected a lesson and its steps"), "{damage}");
            progress.add("ping", 0).unwrap();
            assert_eq!(Progress::read(folder.path()).0.count("ping", 9), 1);
            let aside = fs::read_to_string(folder.path().join("lessons.toml.damaged")).unwrap();
            assert!(aside.contains(damage));
        }
        for bytes in [vec![0xff, 0xfe], vec![b'a'; MOST_BYTES as usize + 1]] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("lessons.toml"), bytes).unwrap();
            assert!(Progress::read(folder.path()).1.is_some());
        }
    }

    #[test]
    fn where_nothing_can_be_kept_that_is_said() {
        let folder = tempfile::tempdir().unwrap();
        // a file stands where the folder would be
        fs::write(folder.path().join("state"), "").unwrap();
        let (mut progress, _) = Progress::read(&folder.path().join("state"));
        let why = progress.add("masking", 0).unwrap_err();
        assert!(why.starts_with("the progress is not kept: cannot write "), "{why}");
        assert!(progress.is_done("masking", 0), "it counts as long as the program runs");
    }
}
