use super::*;

const WAIT_MAX: Duration = Duration::from_secs(10);

fn server(folder: &Path) -> Process {
    let mut command = Command::new("sh");
    command.args(["-c", "echo $$ > pid; exec sleep 1000"]);
    Process::start(&command, folder).unwrap()
}

async fn pid_of(process: &mut Process) -> u32 {
    let file = process.folder.join("pid");
    let pid = || fs::read_to_string(&file).ok()?.trim().parse().ok();
    process
        .until_ready(WAIT_MAX, async || pid().is_some())
        .await
        .unwrap();
    pid().unwrap()
}

async fn is_gone(path: &Path) -> bool {
    let deadline = Instant::now() + WAIT_MAX;
    while path.exists() && Instant::now() < deadline {
        sleep(Duration::from_millis(10)).await;
    }
    !path.exists()
}

#[tokio::test]
async fn a_dropped_server_is_killed_and_its_folder_removed() {
    let folder = tempfile::tempdir().unwrap().keep();
    let mut process = server(&folder);
    let pid = pid_of(&mut process).await;
    drop(process);
    assert!(is_gone(Path::new(&format!("/proc/{pid}"))).await);
    assert!(is_gone(&folder).await);
}

#[tokio::test]
async fn a_killed_server_keeps_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = server(folder.path());
    let pid = pid_of(&mut process).await;
    process.kill().unwrap();
    assert!(is_gone(Path::new(&format!("/proc/{pid}"))).await);
    assert!(folder.path().join("pid").exists());
}

#[tokio::test]
async fn a_server_that_ends_early_is_reported_with_its_last_words() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "echo the port is taken; exit 1"]);
    let mut process = Process::start(&command, folder.path()).unwrap();
    let error = process
        .until_ready(WAIT_MAX, async || false)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("the port is taken"), "{error}");
}

#[tokio::test]
async fn a_server_ends_when_its_owner_is_killed() {
    let folder = tempfile::tempdir().unwrap().keep();
    let mut owner = Command::new("sleep");
    let mut owner = owner.arg("1000").stdout(Stdio::piped()).spawn().unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", SUPERVISE, "sh"]).arg(&folder);
    shell.args(["sh", "-c", "echo $$ > pid; exec sleep 1000"]);
    shell
        .current_dir(&folder)
        .stdin(owner.stdout.take().unwrap());
    let mut owned = Process {
        shell: shell.spawn().unwrap(),
        pipe: None,
        folder: folder.clone(),
    };
    let pid = pid_of(&mut owned).await;
    owner.kill().unwrap();
    owner.wait().unwrap();
    assert!(is_gone(Path::new(&format!("/proc/{pid}"))).await);
    assert!(is_gone(&folder).await);
}
