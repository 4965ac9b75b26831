// Every example of the GraphiQL page in a real browser, without internet.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { SERVER, launch } from "./support.mjs";

/** Until an example has answered; ingesting waits for the embedding model to load. */
const ANSWER_TIMEOUT_MS = 60_000;

/** The tabs in order, each with a check of the `data` it must answer. */
const EXAMPLES = [
  ["CreateCollection", (data) => assert.match(data.createCollection.collection.id, /^col_/)],
  ["ListCollections", (data) => assert.notEqual(data.collections.edges.length, 0)],
  ["IngestDocuments", (data) => assert.match(data.ingestDocuments.documents[0].job.id, /^job_/)],
  ["IngestProgress", (data) => assert.match(data.ingestProgress.run.id, /^run_/)],
  ["Search", (data) => assert.equal(data.search.hits[0].chunk.document.title, "Lighthouses")],
  ["NodeLookup", (data) => assert.equal(data.node.status, "INDEXED")],
  ["Job", (data) => assert.match(data.job.id, /^job_/)],
];

/** Opens the page in a fresh profile; `faults` gathers page errors, console errors and requests beyond the server. */
async function open() {
  const faults = [];
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  const ownHost = new URL(SERVER).host;
  await context.route("**/*", (route) => {
    const url = new URL(route.request().url());
    if (url.protocol === "data:" || url.host === ownHost) return route.continue();
    faults.push(`request to ${url}`);
    return route.abort();
  });
  const page = await context.newPage();
  page.on("websocket", (socket) => new URL(socket.url()).host === ownHost || faults.push(`socket to ${socket.url()}`));
  page.on("pageerror", (error) => faults.push(`page error: ${error.message}`));
  page.on("console", (message) => message.type() === "error" && faults.push(`console: ${message.text()}`));
  await page.goto(SERVER);
  await page.waitForSelector(".graphiql-execute-button");
  return { page, faults };
}

/** Opens the tab of an example. GraphiQL takes a moment to parse it, and until then it would run the tab before. */
async function openTab(page, name) {
  await page.locator(".graphiql-tab-button", { hasText: name }).click();
  await page.waitForFunction(
    (name) => document.querySelector(".graphiql-query-editor .CodeMirror").CodeMirror.operationName === name,
    name,
  );
}

function isOpen(page, name) {
  return page.locator(".graphiql-tab-active", { hasText: name }).isVisible();
}

/** Runs the open tab and gives its last response once the operation has ended. */
async function run(page) {
  const button = page.locator(".graphiql-execute-button");
  await page.evaluate(() => document.querySelector(".graphiql-response .CodeMirror").CodeMirror.setValue(""));
  await button.click();
  await page.waitForFunction(
    () => {
      const response = document.querySelector(".graphiql-response .CodeMirror").CodeMirror.getValue();
      const running = document.querySelector(".graphiql-execute-button").getAttribute("aria-label").startsWith("Stop");
      return response !== "" && !running;
    },
    null,
    { timeout: ANSWER_TIMEOUT_MS },
  );
  const text = await page.evaluate(() => document.querySelector(".graphiql-response .CodeMirror").CodeMirror.getValue());
  return JSON.parse(text);
}

/** Runs all tabs from the open one on; on a first visit that is the first tab as it stands. */
async function checkExamples(page) {
  const names = await page.locator(".graphiql-tab-button").allTextContents();
  assert.deepEqual(names, EXAMPLES.map(([name]) => name));
  for (const [name, check] of EXAMPLES) {
    if (!(await isOpen(page, name))) await openTab(page, name);
    const { errors, data } = await run(page);
    assert.equal(errors, undefined, `${name} answered ${JSON.stringify(errors)}`);
    check(data);
  }
}

let browser, profile;

before(async () => {
  profile = await mkdtemp(join(tmpdir(), "graphiql-test-"));
  browser = await launch(profile);
});

after(async () => {
  await browser?.close();
  await rm(profile, { recursive: true, force: true });
});

test("every example runs as it stands, and again on a second visit", async () => {
  const { page, faults } = await open();
  await checkExamples(page);
  await page.reload();
  await page.waitForSelector(".graphiql-execute-button");
  await checkExamples(page);
  if (process.env.SCREENSHOT) await page.screenshot({ path: process.env.SCREENSHOT });
  assert.deepEqual(faults, []);
});

test("an example that needs an id says which tab makes one", async () => {
  const { page, faults } = await open();
  await openTab(page, "IngestProgress");
  const { errors } = await run(page);
  assert.match(errors[0].message, /run the tab IngestDocuments first/);
  assert.deepEqual(faults, []);
});
