//! The batch script of a job array.

use std::fmt;
use std::path::Path;

use super::Array;
use crate::study::Resources;

/// What a job array's script is made of.
pub(super) struct Script<'a> {
    pub array: &'a Array,
    /// Name of the job.
    pub job: String,
    pub resources: Resources,
    pub program: &'a Path,
    pub plan: &'a Path,
    /// Where tasks run.
    pub folder: &'a Path,
    pub logs: &'a Path,
    pub device: &'a str,
}

impl fmt::Display for Script<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { array, job, resources, program, plan, folder, logs, device } = self;
        let Resources { partition, account, qos, constraint, time, cpus, memory, gpus, extra, setup, concurrent: _ } =
            resources;
        // In names of files Slurm takes what follows a % for a pattern.
        let logs = logs.display().to_string().replace('%', "%%");
        let mut options = vec![
            ("job-name", Some(job.clone())),
            ("output", Some(format!("{logs}/{}-%a.log", array.name))),
            ("open-mode", Some("append".to_owned())),
            ("chdir", Some(folder.display().to_string())),
            ("nodes", Some("1".to_owned())),
            ("ntasks", Some("1".to_owned())),
            ("cpus-per-task", Some(cpus.unwrap_or(1).to_string())),
        ];
        options.extend([
            ("partition", partition.clone()),
            ("account", account.clone()),
            ("qos", qos.clone()),
            ("constraint", constraint.clone()),
            ("time", time.clone()),
            ("mem", memory.clone()),
            ("gpus", gpus.as_ref().map(ToString::to_string)),
        ]);
        writeln!(f, "#!/bin/bash")?;
        writeln!(f, "# {} of the stages {}: `{}` of plan.json.", array.len, array.kind, array.name)?;
        for (option, value) in options {
            if let Some(value) = value {
                writeln!(f, "#SBATCH --{option}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))?;
            }
        }
        for option in extra.iter().flatten() {
            writeln!(f, "#SBATCH {option}")?;
        }
        writeln!(f)?;
        writeln!(f, r#"echo "$(date '+%F %T') job ${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID on $SLURMD_NODENAME""#)?;
        for line in setup.iter().flatten() {
            writeln!(f, "{line}")?;
        }
        writeln!(
            f,
            "exec {} compute {} --index $(({} + SLURM_ARRAY_TASK_ID)) --threads \"$SLURM_CPUS_PER_TASK\" \
             --device {device}",
            quoted(program),
            quoted(plan),
            array.first,
        )
    }
}

/// A path as one word of shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::Gpus;

    #[test]
    fn a_script_asks_for_what_the_study_says() {
        let array = Array { name: "2-generate".into(), kind: "generate".into(), first: 7, len: 3 };
        let resources = Resources {
            partition: Some("a,b".into()),
            time: Some("4:00:00".into()),
            cpus: Some(8),
            gpus: Some(Gpus::Named("a100:1".into())),
            extra: Some(vec!["--exclusive".into()]),
            setup: Some(vec!["module load gcc".into()]),
            ..Resources::default()
        };
        let text = Script {
            array: &array,
            job: "digits-0a.2-generate".into(),
            resources,
            program: Path::new("/opt/it's/standin"),
            plan: Path::new("/runs/.slurm/x/plan.json"),
            folder: Path::new("/home/me/100 %"),
            logs: Path::new("/runs/100 %/logs"),
            device: "cpu",
        }
        .to_string();
        for line in [
            "#SBATCH --partition=\"a,b\"",
            "#SBATCH --time=\"4:00:00\"",
            "#SBATCH --cpus-per-task=\"8\"",
            "#SBATCH --gpus=\"a100:1\"",
            "#SBATCH --exclusive",
            "#SBATCH --chdir=\"/home/me/100 %\"",
            "#SBATCH --output=\"/runs/100 %%/logs/2-generate-%a.log\"",
            "module load gcc",
            "exec '/opt/it'\\''s/standin' compute '/runs/.slurm/x/plan.json' --index $((7 + SLURM_ARRAY_TASK_ID)) \
             --threads \"$SLURM_CPUS_PER_TASK\" --device cpu",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(!text.contains("--mem") && text.starts_with("#!/bin/bash\n"), "{text}");
    }
}
