//! Steps: a finished one is never done again, each has its own time and attempts, and one that commits with its result
//! is done exactly once.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value as Json, json};
use uuid::Uuid;
use vectorforge::error::{Error, Result};
use vectorforge::queue::steer::{Selection, Steering, steer};
use vectorforge::queue::{ActiveJob, Handler, Kinds, NewJob, Step, StepEnd, enqueue, sweep};
use vectorforge::store::{DEFAULT_TENANT, Store};

use super::{jobs, until_jobs_are};
use crate::support::database::TestDatabase;
use crate::support::{TestApp, kinds, until};

const KIND: &str = "test_steps";
const MAX_ATTEMPTS: u32 = 5;

/// What a step does.
#[derive(Clone, Copy)]
enum Act {
    /// Ends with the number of the call as its result.
    End,
    /// Fails in a way that passes.
    Fail,
    /// Fails for good.
    Refuse,
    /// Never ends.
    Hang,
}

/// A job of some steps that follows a script, and notes the steps that it takes.
#[derive(Clone)]
struct Scripted {
    steps: Vec<Step>,
    /// What each step does at its first call, at its second, and so on; then it ends.
    script: &'static [(&'static str, &'static [Act])],
    taken: Arc<Mutex<Vec<&'static str>>>,
}

impl Scripted {
    fn new(steps: &[Step], script: &'static [(&'static str, &'static [Act])]) -> Self {
        Self { steps: steps.to_vec(), script, taken: Arc::default() }
    }

    fn taken(&self) -> Vec<&'static str> {
        self.taken.lock().expect("no panic").clone()
    }
}

#[async_trait]
impl Handler for Scripted {
    fn steps(&self) -> Vec<Step> {
        self.steps.clone()
    }

    async fn run(&self, _: &ActiveJob, step: &'static str) -> Result<StepEnd> {
        let call = {
            let mut taken = self.taken.lock().expect("no panic");
            taken.push(step);
            taken.iter().filter(|taken| **taken == step).count()
        };
        let acts = self.script.iter().find(|(name, _)| *name == step).map_or(&[][..], |(_, acts)| acts);
        match acts.get(call - 1).unwrap_or(&Act::End) {
            Act::End => Ok(StepEnd::Done(json!({ "call": call }))),
            Act::Fail => Err(Error::unavailable("do it", std::io::Error::other("told to fail"))),
            Act::Refuse => Err(Error::input("job.payload", "nonsense", "sense")),
            Act::Hang => std::future::pending().await,
        }
    }
}

/// An application with one job of a kind under way.
async fn start(handler: impl Handler) -> (TestApp, Uuid) {
    start_with(handler, MAX_ATTEMPTS).await
}

async fn start_with(handler: impl Handler, attempts: u32) -> (TestApp, Uuid) {
    let app = TestApp::builder().kinds(|own: Kinds, _: &Store| own.with(kinds::kind(KIND), handler)).start().await;
    let job = NewJob::new("ingest", KIND, (1, json!({})), attempts, app.app.now());
    let id = job.id;
    let tx = app.app.store.begin().await.expect("begins");
    enqueue(&tx, DEFAULT_TENANT, vec![job]).await.expect("enqueues");
    tx.commit().await.expect("commits");
    (app, id)
}

async fn retry(app: &TestApp, id: Uuid) {
    let (selection, steering) = (Selection::Ids(vec![id]), Steering::Retry { attempts: MAX_ATTEMPTS });
    let steered = steer(&app.app.store, app.kinds(), DEFAULT_TENANT, selection, steering, 1).await;
    assert_eq!(steered.expect("steers").changed.len(), 1);
}

/// Takes the lease away, as from a process that is gone.
async fn lose(app: &TestApp) {
    until("the lease to be taken away", async || {
        app.database.execute("UPDATE jobs SET lease_until = now() - interval '1 s' WHERE state = 'RUNNING'").await;
        // Its process may have been faster and renewed it.
        (sweep(&app.settler()).await.expect("sweeps") == 1).then_some(())
    })
    .await;
}

async fn results(database: &TestDatabase) -> Vec<String> {
    database
        .texts("SELECT name || ' ' || (result ->> 'call') FROM job_steps WHERE finished_at IS NOT NULL ORDER BY 1")
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_step_is_not_done_again_after_failures_a_lost_worker_and_a_redrive() {
    let steps = [Step::new("a"), Step::new("b"), Step::new("c")];
    let handler = Scripted::new(&steps, &[("b", &[Act::Fail, Act::Hang, Act::Refuse]), ("c", &[Act::Fail])]);
    let (app, id) = start(handler.clone()).await;
    until("b to hang", async || (handler.taken() == ["a", "b", "b"]).then_some(())).await;
    lose(&app).await;
    until_jobs_are(&app.database, &["DEAD 3 BAD_USER_INPUT"]).await;
    assert_eq!(app.database.texts("SELECT stage FROM jobs").await, ["b"]);
    assert_eq!(results(&app.database).await, ["a 1"]);

    retry(&app, id).await;
    until_jobs_are(&app.database, &["SUCCEEDED 5"]).await;
    assert_eq!(handler.taken(), ["a", "b", "b", "b", "b", "c", "c"]);
    assert_eq!(results(&app.database).await, ["a 1", "b 4", "c 2"], "the first result is kept");

    retry(&app, id).await;
    until_jobs_are(&app.database, &["SUCCEEDED 6"]).await;
    assert_eq!(handler.taken().len(), 7, "nothing is left to do");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_step_has_its_own_attempts_within_those_of_the_job() {
    use Act::Fail;
    let two = Step { max_attempts: Some(2), ..Step::new("b") };
    let many = Step { max_attempts: Some(90), ..Step::new("b") };
    type Script = &'static [(&'static str, &'static [Act])];
    let cases: [(Step, Script, &str); 4] = [
        (two, &[("b", &[Fail; 9])], "DEAD 2 UNAVAILABLE"),
        (many, &[("b", &[Fail; 9])], "DEAD 5 UNAVAILABLE"),
        (Step::new("b"), &[("b", &[Fail; 9])], "DEAD 5 UNAVAILABLE"),
        // Failures of another step are not its own.
        (two, &[("a", &[Fail; 3]), ("b", &[Fail])], "SUCCEEDED 5"),
    ];
    for (step, script, expected) in cases {
        let (app, _) = start(Scripted::new(&[Step::new("a"), step], script)).await;
        app.drain().await;
        assert_eq!(jobs(&app.database).await, [expected], "{step:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redrive_gives_an_unfinished_step_its_attempts_back() {
    let steps = [Step::new("a"), Step { max_attempts: Some(2), ..Step::new("b") }];
    let (app, id) = start(Scripted::new(&steps, &[("b", &[Act::Fail; 3])])).await;
    until_jobs_are(&app.database, &["DEAD 2 UNAVAILABLE"]).await;
    retry(&app, id).await;
    until_jobs_are(&app.database, &["SUCCEEDED 4"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_takes_longer_than_its_own_limit_is_ended_and_tried_again() {
    let short = Step { timeout: Some(Duration::from_millis(100)), ..Step::new("b") };
    let handler = Scripted::new(&[Step::new("a"), short], &[("b", &[Act::Hang])]);
    // Where the machine stalls for longer than the limit, the next attempt ends, or one of the thousand after it.
    let (app, _) = start_with(handler.clone(), 1_000).await;
    app.drain().await;
    assert_eq!(app.database.texts("SELECT state FROM jobs").await, ["SUCCEEDED"]);
    let taken = handler.taken();
    assert!(taken.starts_with(&["a", "b", "b"]) && taken[1..].iter().all(|step| *step == "b"), "{taken:?}");
    let told = "SELECT DISTINCT error_message FROM job_events WHERE state = 'RETRYING'";
    assert_eq!(app.database.texts(told).await, ["the job's attempt took longer than its limit of 100 ms"]);
}

/// [`kinds::Ledger`]'s kind, at which something goes wrong before, in and after the transaction.
struct Unlucky {
    ledger: kinds::Ledger,
    database: String,
    taken: Arc<Mutex<Vec<i32>>>,
}

#[async_trait]
impl Handler for Unlucky {
    fn steps(&self) -> Vec<Step> {
        self.ledger.steps()
    }

    async fn run(&self, job: &ActiveJob, step: &'static str) -> Result<StepEnd> {
        if step == "first" {
            self.taken.lock().expect("no panic").push(job.row.leases);
        }
        let broken = || Error::unavailable("reach the database", std::io::Error::other("connection reset"));
        match (step, job.row.leases) {
            ("first", 1) => Err(broken()),
            ("first", 2) => {
                // Somebody believes this worker lost, and takes the job.
                let steal = "UPDATE jobs SET leases = leases + 1, lease_token = gen_random_uuid(), lease_holder = gen_random_uuid(),
                    lease_until = now() - interval '1 s'";
                TestDatabase::of_another(self.database.clone()).execute(steal).await;
                self.ledger.run(job, step).await
            }
            ("first", _) => {
                self.ledger.run(job, step).await?;
                // It is committed, but the answer does not arrive.
                Err(broken())
            }
            _ => self.ledger.run(job, step).await,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_commits_with_its_result_is_done_exactly_once() {
    let app = TestApp::builder().without_workers().start().await;
    app.database.execute(kinds::LEDGER).await;
    let taken = Arc::<Mutex<Vec<i32>>>::default();
    let (database, noted) = (app.database.url.clone(), taken.clone());
    let with = move |own: Kinds, store: &Store| {
        own.with(kinds::kind(KIND), Unlucky { ledger: kinds::Ledger::new(store), database, taken: noted })
    };
    let job = NewJob::new("ingest", KIND, (1, Json::Null), MAX_ATTEMPTS, app.app.now());
    let tx = app.app.store.begin().await.expect("begins");
    enqueue(&tx, DEFAULT_TENANT, vec![job]).await.expect("enqueues");
    tx.commit().await.expect("commits");
    let app = TestApp::builder().database(app.database.clone()).kinds(with).start().await;
    app.drain().await;

    // The third lease was the thief's.
    assert_eq!(*taken.lock().expect("no panic"), [1, 2, 4]);
    let lines = app.database.texts("SELECT step || ' ' || lease FROM test_ledger ORDER BY 1").await;
    assert_eq!(lines, ["first 4", "second 5"]);
    assert_eq!(jobs(&app.database).await, ["SUCCEEDED 4"]);
}
