// Every audit of GraphQL over HTTP that the npm package graphql-http has.
// https://github.com/graphql/graphql-http/blob/main/implementations/README.md
import assert from "node:assert/strict";
import { test } from "node:test";
import { serverAudits } from "graphql-http";
import { GRAPHQL } from "./support.mjs";

const audits = serverAudits({ url: GRAPHQL });

test("all the audits are there", () => assert.ok(audits.length >= 61, `${audits.length} audits`));

for (const audit of audits) {
  test(`${audit.id} ${audit.name}`, async () => {
    const result = await audit.fn();
    assert.equal(result.status, "ok", result.reason);
  });
}
