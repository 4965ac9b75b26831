// Apollo Client as a frontend sets it up: HTTP, subscriptions over graphql-ws, persisted queries, uploads.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, test } from "node:test";
import { ApolloClient, ApolloLink, HttpLink, InMemoryCache, gql } from "@apollo/client";
import { CombinedGraphQLErrors } from "@apollo/client/errors";
import { PersistedQueryLink } from "@apollo/client/link/persisted-queries";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import UploadHttpLink from "apollo-upload-client/UploadHttpLink.mjs";
import { createClient } from "graphql-ws";
import WebSocket from "ws";
import { GRAPHQL, INGEST, PROGRESS, SOCKET, collection, ingest } from "./support.mjs";

const socket = createClient({ url: SOCKET, webSocketImpl: WebSocket });
after(() => socket.dispose());

/** A client over a link to HTTP; subscriptions go over the socket. */
function apollo(http = new HttpLink({ uri: GRAPHQL })) {
  const link = ApolloLink.split(
    ({ operationType }) => operationType === "subscription",
    new GraphQLWsLink(socket),
    http,
  );
  return new ApolloClient({ link, cache: new InMemoryCache() });
}

test("a query is answered, and answered from the cache", async () => {
  const client = apollo();
  const id = await collection();
  const query = gql`query ($id: ID!) { collection(id: $id) { id name documentCount } }`;
  const { data } = await client.query({ query, variables: { id } });
  assert.equal(data.collection.id, id);
  const again = await client.query({ query, variables: { id }, fetchPolicy: "cache-only" });
  assert.deepEqual(again.data, data);
});

test("a mutation starts a run, and its subscription ends by itself", async () => {
  const client = apollo();
  const { data } = await client.mutate({ mutation: gql(INGEST), variables: ingest(await collection(), "A lens bends light.") });
  const events = [];
  await new Promise((resolve, reject) => {
    client
      .subscribe({ query: gql(PROGRESS), variables: { run: data.ingestDocuments.run.id } })
      .subscribe({ next: (event) => events.push(event), complete: resolve, error: reject });
  });
  assert.equal(events.at(-1).data.ingestProgress.kind, "RUN_FINISHED");
});

test("an error reaches the client with its code and field", async () => {
  const client = apollo();
  const query = gql`{ collection(id: "nonsense") { id } }`;
  await assert.rejects(client.query({ query }), (error) => {
    assert.ok(CombinedGraphQLErrors.is(error), `${error}`);
    assert.equal(error.errors[0].extensions.code, "BAD_USER_INPUT");
    assert.equal(error.errors[0].extensions.field, "id");
    return true;
  });
});

test("a client of persisted queries is told that it must send the text, and goes on", async () => {
  const bodies = [];
  const http = new HttpLink({
    uri: GRAPHQL,
    fetch: (uri, options) => {
      bodies.push(JSON.parse(options.body));
      return fetch(uri, options);
    },
  });
  const sha256 = (text) => createHash("sha256").update(text).digest("hex");
  const client = apollo(new PersistedQueryLink({ sha256 }).concat(http));
  const { data } = await client.query({ query: gql`{ collections(first: 1) { totalCount } }` });
  assert.equal(typeof data.collections.totalCount, "number");
  assert.equal(bodies[0].query, undefined, "the hash alone went first");
  assert.ok(bodies.at(-1).query, "then the text");
});

test("an upload goes through, and one without the header of a preflight does not", async () => {
  const mutation = gql(INGEST);
  const file = new File(["# Lenses\n\nA Fresnel lens bends light."], "lenses.md", { type: "text/markdown" });
  const variables = {
    input: { collectionId: await collection(), documents: [{ title: "Lenses", source: { upload: file } }] },
  };
  const client = apollo(new UploadHttpLink({ uri: GRAPHQL, headers: { "apollo-require-preflight": "true" } }));
  const { data } = await client.mutate({ mutation, variables });
  assert.equal(data.ingestDocuments.documents[0].outcome, "ACCEPTED");
  const bare = apollo(new UploadHttpLink({ uri: GRAPHQL }));
  await assert.rejects(bare.mutate({ mutation, variables }));
});
