use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::Deserialize;
use serde_json::{Value, json};
use standin_data::{ExportFormat, ImageSet, ImportOptions, Parts, Progress, Seed, Shape, Silent, export, import};

use crate::{Error, Lineage, Result, SampleRequest, Trained, load};

/// What makes images without having seen the private ones.
pub(super) trait Api: fmt::Debug {
    /// Images from anywhere it knows (`RANDOM_API`).
    fn random(&mut self, count: usize, progress: &dyn Progress) -> Result<Population>;

    /// For each image one that is like it (`VARIATION_API`): the more unlike, the larger `degree`.
    fn vary(&mut self, of: &Population, degree: f64, progress: &dyn Progress) -> Result<Population>;
}

/// Images of an API.
#[derive(Clone, Debug)]
pub(super) struct Population {
    /// The images, without labels.
    pub images: ImageSet,
    /// What a generator of this project draws each of them from; none for a command.
    lineages: Vec<Lineage>,
}

impl Population {
    /// Some of them, in that order, any of them any number of times.
    pub(super) fn select(&self, indices: &[usize]) -> Self {
        let lineages = match self.lineages.as_slice() {
            [] => Vec::new(),
            lineages => indices.iter().map(|&index| lineages[index].clone()).collect(),
        };
        Self { images: self.images.select(indices), lineages }
    }
}

/// A trained generator of this project as an API: variation mixes fresh noise into what an image was drawn from.
#[derive(Debug)]
pub(super) struct GeneratorApi {
    trained: Box<dyn Trained>,
    seed: Seed,
    streams: u64,
}

impl GeneratorApi {
    pub(super) fn open(folder: &Path, shape: Shape, seed: Seed) -> Result<Self> {
        let trained = load(folder)?;
        let found = trained.description().shape;
        if found != shape {
            let set = format!("the generator in {}", folder.display());
            return Err(Error::PublicShape { set, found, expected: shape });
        }
        if let Some(guarantee) = trained.guarantee() {
            let set = format!("the generator in {}", folder.display());
            return Err(Error::PublicWithGuarantee { set, guarantee: guarantee.to_string() });
        }
        Ok(Self { trained, seed, streams: 0 })
    }

    fn draw(&self, lineages: Vec<Lineage>, progress: &dyn Progress) -> Result<Population> {
        Ok(Population { images: self.trained.descend(&lineages, self.seed, progress)?, lineages })
    }

    /// Fresh streams of noise.
    fn streams(&mut self, count: usize) -> std::ops::Range<u64> {
        let first = self.streams;
        self.streams += count as u64;
        first..self.streams
    }
}

impl Api for GeneratorApi {
    fn random(&mut self, count: usize, progress: &dyn Progress) -> Result<Population> {
        let classes = self.trained.description().classes.to_vec();
        let labels = SampleRequest::new(count).labels(&classes, &vec![1.0; classes.len()])?;
        let streams = self.streams(count);
        let lineages = labels.into_iter().zip(streams).map(|(class, stream)| Lineage::new(class, stream)).collect();
        self.draw(lineages, progress)
    }

    fn vary(&mut self, of: &Population, degree: f64, progress: &dyn Progress) -> Result<Population> {
        let streams = self.streams(of.lineages.len());
        let lineages = of.lineages.iter().zip(streams).map(|(parent, stream)| parent.varied(stream, degree)).collect();
        self.draw(lineages, progress)
    }
}

/// Another program as an API. It is started once and asked line by line; see the documentation of the method.
pub(super) struct CommandApi {
    name: String,
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    shape: Shape,
    seed: Seed,
    asked: u64,
    folder: PathBuf,
}

impl fmt::Debug for CommandApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandApi").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A line of a command.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    /// A file or folder of images in any form that import reads.
    #[serde(default)]
    images: Option<PathBuf>,
    /// Why there are none.
    #[serde(default)]
    error: Option<String>,
}

impl CommandApi {
    /// `folder` exists, and is where images go to and come from.
    pub(super) fn start(command: &[String], folder: &Path, shape: Shape, seed: Seed) -> Result<Self> {
        let name = command.join(" ");
        let failed = |source| Error::Command { command: name.clone(), found: format!("cannot be started ({source})") };
        let (program, arguments) = command.split_first().ok_or_else(|| Error::Command {
            command: String::new(),
            found: "is empty; give a program and its arguments".to_owned(),
        })?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (requests, answers) = pipes.expect("both were asked for");
        let answers = BufReader::new(answers);
        Ok(Self { name, child, requests, answers, shape, seed, asked: 0, folder: folder.to_path_buf() })
    }

    fn error(&self, found: impl Into<String>) -> Error {
        Error::Command { command: self.name.clone(), found: found.into() }
    }

    /// One request and the images of its answer.
    fn ask(&mut self, mut request: Value, count: usize) -> Result<Population> {
        self.asked += 1;
        let Shape { channels, height, width } = self.shape;
        request["count"] = count.into();
        request["shape"] = json!([height, width, channels]);
        // Numbers of other programs end at 2⁵³.
        request["seed"] = (self.seed.derive(&format!("request {}", self.asked)).value() >> 11).into();
        request["out"] = self.folder.join(format!("answer-{}.npz", self.asked)).to_string_lossy().into();
        let sent = writeln!(self.requests, "{request}").and_then(|()| self.requests.flush());
        sent.map_err(|error| self.error(format!("takes no request ({error})")))?;
        let mut line = String::new();
        let read = self.answers.read_line(&mut line);
        match read {
            Ok(0) => return Err(self.error("ended without an answer")),
            Err(error) => return Err(self.error(format!("gives no answer ({error})"))),
            Ok(_) => {}
        }
        let answer: Answer = serde_json::from_str(&line)
            .map_err(|error| self.error(format!("answered {:?}, which is no answer ({error})", line.trim())))?;
        let path = match answer {
            Answer { error: Some(error), .. } => return Err(self.error(format!("answered with an error: {error}"))),
            Answer { images: Some(path), .. } => path,
            Answer { .. } => return Err(self.error("answered without images; {\"images\": PATH} was expected")),
        };
        let images = import(&path, &ImportOptions::default(), &Silent)?.only()?.clone().without_labels();
        if images.len() != count || images.shape() != self.shape {
            let (found, shape) = (images.len(), images.shape());
            let expected = self.shape;
            return Err(
                self.error(format!("gave {found} images of {shape} where {count} of {expected} were asked for"))
            );
        }
        Ok(Population { images, lineages: Vec::new() })
    }
}

impl Api for CommandApi {
    fn random(&mut self, count: usize, _: &dyn Progress) -> Result<Population> {
        self.ask(json!({ "request": "random" }), count)
    }

    fn vary(&mut self, of: &Population, degree: f64, _: &dyn Progress) -> Result<Population> {
        let path = self.folder.join("parents.npz");
        export(&Parts::undivided(of.images.clone()), &path, ExportFormat::Npz, true)?;
        self.ask(json!({ "request": "vary", "degree": degree, "images": path.to_string_lossy() }), of.images.len())
    }
}

impl Drop for CommandApi {
    /// Ends the program: it sees the end of its input only after this, and may be in the middle of something.
    fn drop(&mut self) {
        // It may have ended by itself, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
