// What the clients' tests share: where the server is, plain requests, and a browser.
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

/** The server under test, as `run.py` started it. */
export const SERVER = process.env.SERVER ?? "http://127.0.0.1:8000";
export const GRAPHQL = `${SERVER}/graphql`;
export const SOCKET = GRAPHQL.replace(/^http/, "ws");

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Chromium without a window; CHROMIUM names its binary where it is not /usr/bin/chromium. */
export function launch(home, flags = []) {
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  const env = { ...process.env, HOME: home };
  return chromium.launch({ executablePath, headless: true, args: [...FLAGS, ...flags], env });
}

/** The whole answer to an operation. */
export async function ask(query, variables = {}) {
  const response = await fetch(GRAPHQL, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ query, variables }),
  });
  return response.json();
}

/** The data of an operation that must not fail. */
export async function data(query, variables) {
  const answer = await ask(query, variables);
  assert.equal(answer.errors, undefined, JSON.stringify(answer.errors));
  return answer.data;
}

/** A collection of a name that nobody else uses; gives its id. */
export async function collection() {
  const name = `clients ${crypto.randomUUID()}`;
  const made = await data(
    "mutation($name: String!) { createCollection(input: { name: $name }) { collection { id } } }",
    { name },
  );
  return made.createCollection.collection.id;
}

/** The mutation that ingests texts; its variables come from `ingest`. */
export const INGEST = `mutation Ingest($input: IngestDocumentsInput!) {
  ingestDocuments(input: $input) { run { id } documents { outcome document { id } } } }`;

/** Variables of INGEST for one document of a text. */
export function ingest(collectionId, text) {
  return { input: { collectionId, documents: [{ title: "Lighthouses", source: { text } }] } };
}

/** Follows a run to its end. */
export const PROGRESS = `subscription Progress($run: ID!) { ingestProgress(runId: $run) { cursor kind run { id state } } }`;

/** The 1.1 KB query whose fragments spread the next one twice, thirty deep: 2 to the power of 30 fields. */
export function nestedFragments() {
  const levels = Array.from({ length: 30 }, (_, level) => `fragment F${level} on Query { ...F${level + 1} ...F${level + 1} }`);
  return `{ ...F0 } ${levels.join(" ")} fragment F30 on Query { __typename }`;
}
