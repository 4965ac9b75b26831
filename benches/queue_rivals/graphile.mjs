// The same parts as benches/queue/main.rs over graphile-worker: `migrate`, `worker`, `enqueue`, `trickle`. Started by
// benches/jobs.py alone; the database is told by PGHOST, PGUSER and so on.
//
//   node graphile.mjs worker --slots 16 [--tell] [--batched]
//
// `--batched` is what its documentation advises for speed (https://worker.graphile.org/docs/performance): a local queue
// that fetches many jobs at once, and ends that are written many at a time.

import { parseArgs } from "node:util";
import { setTimeout as sleep } from "node:timers/promises";
import { Logger, makeWorkerUtils, run } from "graphile-worker";
import pg from "pg";

const KIND = "noop";
const LOCAL_QUEUE = 500;
const logger = new Logger(() => (level, message) => {
  if (level === "error" || level === "warning") console.error(message);
});

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    slots: { type: "string", default: "16" },
    jobs: { type: "string", default: "1000" },
    "pause-ms": { type: "string", default: "20" },
    tell: { type: "boolean", default: false },
    batched: { type: "boolean", default: false },
  },
});
const jobs = Number(values.jobs);
const nowUs = () => Math.round((performance.timeOrigin + performance.now()) * 1000);
const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

const parts = {
  async migrate() {
    const utils = await makeWorkerUtils({ pgPool: pool(2), logger });
    await utils.migrate();
    await utils.release();
  },

  async worker() {
    const noop = async (_, helpers) => {
      if (values.tell) tell({ job: helpers.job.id, at_us: nowUs() });
    };
    const batched = { localQueue: { size: LOCAL_QUEUE }, completeJobBatchDelay: 0, failJobBatchDelay: 0 };
    const runner = await run({
      pgPool: pool(Number(values.slots) + 2),
      concurrency: Number(values.slots),
      noHandleSignals: true,
      taskList: { [KIND]: noop },
      preset: { worker: { logger, ...(values.batched ? batched : {}) } },
      logger,
    });
    tell({ ready: true });
    for await (const _ of process.stdin);
    await runner.stop();
  },

  // One statement for all of them, as its own benchmark does.
  async enqueue() {
    const client = await connect();
    const started = performance.now();
    await client.query(
      `SELECT graphile_worker.add_jobs(array(
         SELECT json_populate_record(null::graphile_worker.job_spec, json_build_object('identifier', $1::text))
         FROM generate_series(1, $2::int)))`,
      [KIND, jobs],
    );
    tell({ jobs, seconds: (performance.now() - started) / 1000, at_us: nowUs() });
    await client.end();
  },

  async trickle() {
    const client = await connect();
    for (let n = 0; n < jobs; n += 1) {
      await sleep(Number(values["pause-ms"]));
      const askedUs = nowUs();
      const { rows } = await client.query("SELECT id FROM graphile_worker.add_job($1)", [KIND]);
      tell({ job: rows[0].id, asked_us: askedUs, at_us: nowUs() });
    }
    await client.end();
  },
};

function pool(max) {
  const pool = new pg.Pool({ max });
  pool.on("error", console.error);
  pool.on("connect", (client) => client.on("error", console.error));
  return pool;
}

async function connect() {
  const client = new pg.Client();
  await client.connect();
  return client;
}

await parts[positionals[0]]();
process.exit(0);
