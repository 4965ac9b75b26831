// The usual WebSocket client, npm graphql-ws, over a real socket.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createClient } from "graphql-ws";
import WebSocket from "ws";
import { INGEST, PROGRESS, SOCKET, collection, ingest, nestedFragments } from "./support.mjs";

/** A client that connects at once and keeps what happens to its socket. */
function connect(options = {}) {
  const closes = [];
  const client = createClient({
    url: SOCKET,
    webSocketImpl: WebSocket,
    retryAttempts: 0,
    ...options,
    on: { closed: (event) => closes.push({ code: event.code, reason: event.reason }) },
  });
  return { client, closes };
}

/** All results of an operation; throws what the server answers in an `error` message. */
async function results(client, query, variables) {
  const all = [];
  for await (const result of client.iterate({ query, variables })) all.push(result);
  return all;
}

/** The errors of an operation that must be refused before it runs. */
async function refusal(client, query, variables) {
  const seen = [];
  try {
    for await (const result of client.iterate({ query, variables })) seen.push(result);
  } catch (errors) {
    assert.deepEqual(seen, [], "a refused operation has no result");
    assert.ok(Array.isArray(errors), `expected a list of errors, got ${errors}`);
    return errors;
  }
  assert.fail(`expected a refusal of ${query.slice(0, 80)}, got ${JSON.stringify(seen)}`);
}

test("a query, a mutation and the run that it starts go over one socket", async () => {
  const { client, closes } = connect({ lazy: false });
  const [query] = await results(client, "{ collections { totalCount } }");
  assert.equal(typeof query.data.collections.totalCount, "number");
  const [made] = await results(client, INGEST, ingest(await collection(), "A lighthouse warns ships."));
  const events = await results(client, PROGRESS, { run: made.data.ingestDocuments.run.id });
  assert.equal(events.at(-1).data.ingestProgress.kind, "RUN_FINISHED");
  assert.equal(events.at(-1).data.ingestProgress.run.state, "SUCCEEDED");
  await client.dispose();
  assert.equal(closes.length <= 1, true);
});

test("a client's close is answered by the same code, and its next operation needs no second try", async () => {
  const { client, closes } = connect();
  for (let turn = 1; turn <= 3; turn += 1) {
    // Lazy: the socket closes after each operation and is opened anew for the next.
    await results(client, "{ __typename }");
    while (closes.length < turn) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(closes.map(({ code }) => code), Array(turn).fill(1000));
  }
});

test("what cannot be run is answered by one error message with the codes that HTTP gives", async () => {
  const { client } = connect({ lazy: false });
  for (const [query, code] of [
    ["{", /^GRAPHQL_/],
    ["{ nonsense }", /^GRAPHQL_VALIDATION_FAILED$/],
    ["subscription { ingestProgress(runId: 1) { nonsense } }", /^GRAPHQL_VALIDATION_FAILED$/],
    ["subscription { a: queueUpdated(queue: \"ingest\") { cursor } b: queueUpdated(queue: \"ingest\") { cursor } }", /^GRAPHQL_VALIDATION_FAILED$/],
    [nestedFragments(), /^[A-Z_]+$/],
  ]) {
    const errors = await refusal(client, query);
    assert.match(errors[0].extensions.code, code);
  }
  assert.equal((await results(client, "{ __typename }")).length, 1, "the socket still works");
  await client.dispose();
});

test("a fragment at the root of a subscription brings the same events", async () => {
  const { client } = connect({ lazy: false });
  const [made] = await results(client, INGEST, ingest(await collection(), "Keepers lit oil fires."));
  const variables = { run: made.data.ingestDocuments.run.id };
  const plain = await results(client, PROGRESS, variables);
  const body = "ingestProgress(runId: $run) { cursor kind run { id state } }";
  for (const query of [
    `subscription($run: ID!) { ...F } fragment F on Subscription { ${body} }`,
    `subscription($run: ID!) { ... on Subscription { ${body} } }`,
    `subscription($run: ID!) { ... { ...F } } fragment F on Subscription { ... { ${body} } }`,
  ]) {
    assert.deepEqual(await results(client, query, variables), plain);
  }
  await client.dispose();
});

test("a message that is too long closes the socket with 1009", async () => {
  const socket = new WebSocket(SOCKET, "graphql-transport-ws");
  await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
  const code = new Promise((resolve) => socket.once("close", resolve));
  socket.on("error", () => {});
  socket.send(JSON.stringify({ type: "connection_init" }));
  socket.send(JSON.stringify({ type: "subscribe", id: "1", payload: { query: `{ __typename } #${"x".repeat(8 << 20)}` } }));
  assert.equal(await code, 1009);
});
