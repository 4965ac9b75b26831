// The usual code generator for TypeScript, over the published schema and the operations of the GraphiQL page.
import assert from "node:assert/strict";
import { test } from "node:test";
import { codegen } from "@graphql-codegen/core";
import * as operations from "@graphql-codegen/typescript-operations";
import * as types from "@graphql-codegen/typescript";
import { buildSchema, parse, printSchema, validateSchema } from "graphql";
import { SERVER } from "./support.mjs";

const text = async (path) => (await fetch(`${SERVER}${path}`)).text();

test("no type of an operation bears the name of a type of the schema", async () => {
  const schema = buildSchema(await text("/schema.graphql"));
  assert.deepEqual(validateSchema(schema), []);
  const document = parse(await text("/assets/graphiql/examples.graphql"));
  const generated = await codegen({
    schema: parse(printSchema(schema)),
    documents: [{ location: "examples.graphql", document }],
    filename: "types.ts",
    config: {},
    plugins: [{ typescript: {} }, { operations: {} }],
    pluginMap: { typescript: types, operations },
  });
  const names = [...generated.matchAll(/^export (?:type|enum|interface) (\w+)/gm)].map(([, name]) => name);
  const twice = names.filter((name, place) => names.indexOf(name) !== place);
  assert.ok(names.includes("SearchQuery"), "the operation `Search` has its type");
  assert.deepEqual(twice, []);
});

test("every input type is named as one", async () => {
  const schema = buildSchema(await text("/schema.graphql"));
  const inputs = Object.values(schema.getTypeMap()).filter((type) => type.astNode?.kind === "InputObjectTypeDefinition");
  assert.deepEqual(inputs.map(({ name }) => name).filter((name) => !name.endsWith("Input")), []);
});
