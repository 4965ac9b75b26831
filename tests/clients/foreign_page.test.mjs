// A page of another origin that the user visits, in a real browser: it may neither change nor read anything.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { GRAPHQL, SERVER, SOCKET, data, launch } from "./support.mjs";

/** Names that lead to this machine, as a foreign page's name may. */
const RULES = "MAP evil.example 127.0.0.1, MAP rebound.example 127.0.0.1";

let browser, profile, foreign;

before(async () => {
  foreign = createServer((_, response) => response.setHeader("content-type", "text/html").end("<!doctype html><title>foreign</title>"));
  await new Promise((resolve) => foreign.listen(0, "127.0.0.1", resolve));
  profile = await mkdtemp(join(tmpdir(), "foreign-page-"));
  browser = await launch(profile, [`--host-resolver-rules=${RULES}`]);
});

after(async () => {
  await browser?.close();
  foreign.close();
  await rm(profile, { recursive: true, force: true });
});

/** Opens the foreign page under a name; `answers` gathers the status of whatever the server under test answers. */
async function visit(host) {
  const page = await browser.newPage();
  const answers = [];
  const target = new URL(SERVER).port;
  page.on("response", (response) => {
    if (new URL(response.url()).port === target) answers.push(response.status());
  });
  await page.goto(`http://${host}:${foreign.address().port}/`);
  return { page, answers };
}

/** A mutation that would leave a trace, and whether it did. */
function trace() {
  const name = `foreign ${crypto.randomUUID()}`;
  const query = `mutation { createCollection(input: { name: "${name}" }) { collection { id } } }`;
  const isThere = async () =>
    (await data("query($name: String!) { collectionByName(name: $name) { id } }", { name })).collectionByName !== null;
  return { query, isThere };
}

// The second one is of the same site, and still of another origin.
for (const host of ["evil.example", "localhost"]) {
  test(`a page of ${host} cannot send a form`, async () => {
    const { page, answers } = await visit(host);
    for (const type of ["multipart/form-data", "text/plain", "application/x-www-form-urlencoded"]) {
      const { query, isThere } = trace();
      await page.evaluate(
        async ([action, type, operations]) => {
          const frame = document.createElement("iframe");
          frame.name = "answer";
          const form = Object.assign(document.createElement("form"), { action, method: "POST", enctype: type, target: "answer" });
          for (const [name, value] of Object.entries({ operations, map: "{}", query: operations })) {
            form.append(Object.assign(document.createElement("input"), { name, value }));
          }
          document.body.replaceChildren(frame, form);
          const loaded = new Promise((resolve) => (frame.onload = resolve));
          form.submit();
          await loaded;
        },
        [GRAPHQL, type, JSON.stringify({ query })],
      );
      assert.equal(await isThere(), false, type);
    }
    assert.ok(answers.length > 0 && answers.every((status) => status >= 400 && status < 500), `${answers}`);
    await page.close();
  });

  test(`a page of ${host} cannot send requests from scripts`, async () => {
    const { page, answers } = await visit(host);
    for (const [method, type] of [
      ["POST", "multipart/form-data; boundary=x"],
      ["POST", "text/plain"],
      ["POST", "application/json"],
      ["GET", null],
    ]) {
      const { query, isThere } = trace();
      const read = await page.evaluate(
        async ([url, method, type, query]) => {
          const part = (name, text) => `--x\r\ncontent-disposition: form-data; name="${name}"\r\n\r\n${text}\r\n`;
          const json = JSON.stringify({ query });
          const body = type?.startsWith("multipart") ? `${part("operations", json)}${part("map", "{}")}--x--\r\n` : json;
          const options = { method, headers: type ? { "content-type": type } : {}, body: method === "GET" ? undefined : body };
          const target = method === "GET" ? `${url}?query=${encodeURIComponent("{ collections { totalCount } }")}` : url;
          const seen = [];
          for (const mode of ["cors", "no-cors"]) {
            await fetch(target, { ...options, mode }).then((answer) => answer.text()).then((text) => seen.push(text), () => {});
          }
          return seen.join("");
        },
        [GRAPHQL, method, type, query],
      );
      assert.equal(await isThere(), false, `${method} ${type}`);
      assert.equal(read, "", `${method} ${type} could be read`);
    }
    assert.ok(answers.length > 0 && answers.every((status) => status >= 400 && status < 500), `${answers}`);
    await page.close();
  });

  test(`a page of ${host} cannot open a WebSocket`, async () => {
    const { page } = await visit(host);
    const heard = await page.evaluate(
      (url) =>
        new Promise((resolve) => {
          const socket = new WebSocket(url, "graphql-transport-ws");
          socket.onopen = () => socket.send('{"type":"connection_init"}');
          socket.onmessage = ({ data }) => resolve(data);
          socket.onclose = () => resolve("closed");
        }),
      SOCKET,
    );
    assert.equal(heard, "closed");
    await page.close();
  });
}

test("a name that was bound to this machine opens nothing", async () => {
  const page = await browser.newPage();
  const rebound = SERVER.replace("127.0.0.1", "rebound.example");
  for (const path of ["/", "/schema.graphql", `/graphql?query=${encodeURIComponent("{ __typename }")}`]) {
    const answer = await page.goto(`${rebound}${path}`);
    assert.ok(answer.status() >= 400 && answer.status() < 500, `${path} answered ${answer.status()}`);
  }
  await page.close();
});
