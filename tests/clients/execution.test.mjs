// Random operations, answered by the server and by graphql-js over the same data: shape, order of keys, merging, skipped
// fields, defaults of absent variables and nulls that go up must be equal to the letter.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  Kind,
  astFromValue,
  buildSchema,
  execute,
  getNamedType,
  getVariableValues,
  isAbstractType,
  isCompositeType,
  isLeafType,
  parse,
  print,
  validate,
} from "graphql";
import { getArgumentValues } from "graphql/execution/values.js";
import { INGEST, SERVER, ask, collection, data, ingest } from "./support.mjs";

const OPERATIONS = 200;
/** What changes between two questions. */
const VOLATILE = new Set(["workers", "worker", "wait", "nextRuns", "nextRunAt", "lastRunAt", "lastJob", "ratePerSecond",
  "oldestPendingAt", "running", "slots", "depth", "oldestPendingSeconds"]);
/** Fields that cost a search, or have tests of their own. */
const PASSED_OVER = new Set(["search", "__schema", "__type"]);
const VARIABLES = "$yes: Boolean!, $no: Boolean! = false, $absent: Int, $two: Int = 2";

/** The same numbers from 0 to 1 for the same seed (mulberry32). */
function generator(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** Writes operations over a schema. `ids` are values for arguments by field, or by argument. */
class Writer {
  constructor(schema, ids, seed) {
    this.schema = schema;
    this.ids = ids;
    this.random = generator(seed);
    this.fragments = [];
  }

  pick(list) {
    return list[Math.floor(this.random() * list.length)];
  }

  operation() {
    const set = this.selectionSet(this.schema.getQueryType(), 4, 1 + Math.floor(this.random() * 4));
    return `query(${VARIABLES}) ${set} ${this.fragments.join(" ")}`;
  }

  selectionSet(type, depth, length) {
    const parts = Array.from({ length }, () => this.selection(type, depth)).filter((part) => part !== "");
    return `{ ${parts.length > 0 ? parts.join(" ") : "__typename"} }`;
  }

  selection(type, depth) {
    const chance = this.random();
    const length = 1 + Math.floor(this.random() * 3);
    if (depth > 0 && chance < 0.15) {
      const condition = this.random() < 0.5 ? "" : ` on ${this.condition(type)}`;
      const inner = condition === "" ? type : this.schema.getType(condition.slice(4));
      return `...${condition} ${this.directives()} ${this.selectionSet(inner, depth - 1, length)}`;
    }
    if (depth > 0 && chance < 0.25) {
      const condition = this.condition(type);
      const name = `F${this.fragments.length}`;
      this.fragments.push("");
      const set = this.selectionSet(this.schema.getType(condition), depth - 1, length);
      this.fragments[Number(name.slice(1))] = `fragment ${name} on ${condition} ${set}`;
      return `...${name} ${this.directives()}`;
    }
    return this.field(type, depth, length);
  }

  /** A type of which a fragment may stand in the type. */
  condition(type) {
    const own = [type.name];
    if (isAbstractType(type)) own.push(...this.schema.getPossibleTypes(type).map((possible) => possible.name));
    else own.push(...type.getInterfaces().map((it) => it.name));
    return this.pick(own);
  }

  field(type, depth, length) {
    const fields = Object.values(type.getFields()).filter(
      (field) => !VOLATILE.has(field.name) && !PASSED_OVER.has(field.name) && (depth > 0 || isLeafType(getNamedType(field.type))),
    );
    if (fields.length === 0 || this.random() < 0.1) return this.aliased("__typename") + this.directives();
    const field = this.pick(fields);
    const inner = getNamedType(field.type);
    const below = isCompositeType(inner) ? this.selectionSet(inner, depth - 1, length) : "";
    return `${this.aliased(field.name)}${this.args(type, field)} ${this.directives()} ${below}`;
  }

  aliased(name) {
    return this.random() < 0.2 ? `${this.pick(["a", "b", "c"])}: ${name}` : name;
  }

  args(type, field) {
    const given = field.args.flatMap((arg) => {
      const known = this.ids[`${field.name}.${arg.name}`];
      if (known !== undefined) return [`${arg.name}: ${JSON.stringify(this.pick(known))}`];
      if (arg.name === "first") return this.pick([[], ["first: 2"], ["first: $absent"], ["first: $two"]]);
      return [];
    });
    return given.length > 0 ? `(${given.join(", ")})` : "";
  }

  directives() {
    if (this.random() > 0.15) return "";
    return ` @${this.pick(["skip", "include"])}(if: ${this.pick(["true", "false", "$yes", "$no"])})`;
  }
}

/** Asks for every field of an operation once, under an alias that tells its arguments, whatever is skipped. */
class Source {
  constructor(schema, document, variables) {
    this.schema = schema;
    this.variables = variables;
    this.operation = document.definitions.find((it) => it.kind === Kind.OPERATION_DEFINITION);
    this.fragments = new Map(
      document.definitions.filter((it) => it.kind === Kind.FRAGMENT_DEFINITION).map((it) => [it.name.value, it]),
    );
    this.aliases = new Map();
  }

  /** The root's values by alias; an error where the field failed. */
  async root() {
    const root = this.schema.getQueryType();
    const values = {};
    for (const [alias, text] of this.fields(root, [this.operation.selectionSet])) {
      const answer = await ask(`{ ${text} }`);
      const deep = (answer.errors ?? []).find((error) => error.path?.length !== 1);
      assert.equal(deep, undefined, JSON.stringify(deep));
      values[alias] = answer.errors ? new Error(answer.errors[0].message) : answer.data[alias];
    }
    return values;
  }

  alias(type, node) {
    const args = getArgumentValues(type.getFields()[node.name.value], node, this.variables);
    const key = `${node.name.value} ${JSON.stringify(args)}`;
    if (!this.aliases.has(key)) this.aliases.set(key, `f${this.aliases.size}`);
    return this.aliases.get(key);
  }

  fields(type, sets) {
    const nodes = new Map();
    for (const set of sets) this.collect(type, set, nodes, new Set());
    return [...nodes].map(([alias, found]) => {
      const field = type.getFields()[found[0].name.value];
      const args = Object.entries(getArgumentValues(field, found[0], this.variables)).map(([name, value]) => {
        const declared = field.args.find((arg) => arg.name === name);
        return `${name}: ${print(astFromValue(value, declared.type))}`;
      });
      const below = found.filter((node) => node.selectionSet).map((node) => node.selectionSet);
      const inner = below.length > 0 ? this.below(getNamedType(field.type), below) : "";
      return [alias, `${alias}: ${field.name}${args.length > 0 ? `(${args.join(", ")})` : ""} ${inner}`];
    });
  }

  below(type, sets) {
    if (!isAbstractType(type)) return `{ __typename ${this.fields(type, sets).map(([, text]) => text).join(" ")} }`;
    const parts = this.schema.getPossibleTypes(type).map((possible) => {
      const fields = this.fields(possible, sets).map(([, text]) => text);
      return fields.length > 0 ? `... on ${possible.name} { ${fields.join(" ")} }` : "";
    });
    return `{ __typename ${parts.join(" ")} }`;
  }

  collect(type, set, nodes, reached) {
    for (const selection of set.selections) {
      if (selection.kind === Kind.FIELD) {
        if (selection.name.value === "__typename") continue;
        const alias = this.alias(type, selection);
        nodes.set(alias, [...(nodes.get(alias) ?? []), selection]);
        continue;
      }
      const fragment = selection.kind === Kind.INLINE_FRAGMENT ? selection : this.fragments.get(selection.name.value);
      if (reached.has(fragment)) continue;
      reached.add(fragment);
      const condition = fragment.typeCondition ? this.schema.getType(fragment.typeCondition.name.value) : type;
      const applies = condition === type || (isAbstractType(condition) && this.schema.isSubType(condition, type));
      if (applies) this.collect(type, fragment.selectionSet, nodes, reached);
    }
  }

  /** What graphql-js gives over those values. */
  async replay(document, raw) {
    const fieldResolver = (source, _args, _context, info) => source[this.alias(info.parentType, info.fieldNodes[0])];
    const typeResolver = (value) => value.__typename;
    const rootValue = await this.root();
    return execute({ schema: this.schema, document, rootValue, variableValues: raw, fieldResolver, typeResolver });
  }
}

const paths = (errors = []) => errors.map((error) => JSON.stringify(error.path)).sort();

test("answers are those of graphql-js", async () => {
  const schema = buildSchema(await (await fetch(`${SERVER}/schema.graphql`)).text());
  const made = await collection();
  const ingested = await data(INGEST, ingest(made, "The lighthouse was lit. Ships pass at night."));
  const run = ingested.ingestDocuments.run.id;
  const document = ingested.ingestDocuments.documents[0].document.id;
  while (true) {
    const { state } = (await data("query($id: ID!) { run(id: $id) { state } }", { id: run })).run;
    if (!["PENDING", "RUNNING"].includes(state)) break;
  }
  const ids = {
    "node.id": [made, run, document],
    "collection.id": [made],
    "collectionByName.name": ["none"],
    "document.id": [document],
    "job.id": [`job_${"0".repeat(32)}`],
    "run.id": [run],
    "schedule.id": [`sch_${"0".repeat(32)}`],
    "queue.name": ["ingest", "none"],
  };
  const raw = { yes: true };
  let compared = 0;
  let failing = 0;
  for (let seed = 1; seed <= OPERATIONS; seed += 1) {
    const query = new Writer(schema, ids, seed).operation();
    const parsed = parse(query);
    const faults = validate(schema, parsed).filter((fault) => !/is never used/.test(fault.message));
    // Two fields of one response key, mostly: the server must refuse them too.
    if (faults.length > 0) continue;
    const declared = parsed.definitions.find((it) => it.kind === Kind.OPERATION_DEFINITION).variableDefinitions;
    const used = new Set([...query.replace(`query(${VARIABLES})`, "").matchAll(/\$(\w+)/g)].map((match) => match[1]));
    const kept = VARIABLES.split(", ").filter((variable) => used.has(/\$(\w+)/.exec(variable)[1]));
    const text = query.replace(`(${VARIABLES})`, kept.length > 0 ? `(${kept.join(", ")})` : "");
    const source = new Source(schema, parsed, getVariableValues(schema, declared, raw).coerced);
    const given = await ask(text, raw);
    if (given.errors?.[0]?.path === undefined && given.errors !== undefined) {
      assert.match(given.errors[0].message, /complex|deep|limit|at most/i, `${text}\n${JSON.stringify(given.errors)}`);
      continue;
    }
    const expected = await source.replay(parsed, raw);
    assert.equal(JSON.stringify(given.data), JSON.stringify(expected.data), `seed ${seed}: ${text}`);
    // graphql-js ends at the first error that leaves no data; we tell of all.
    const told = paths(given.errors);
    assert.equal(told.length > 0, expected.errors !== undefined, `seed ${seed}: ${text}`);
    for (const path of paths(expected.errors)) assert.ok(told.includes(path), `seed ${seed}: no error at ${path}: ${text}`);
    compared += 1;
    failing += given.errors ? 1 : 0;
  }
  assert.ok(compared > OPERATIONS / 3 && failing > 0, `${compared} compared, ${failing} of them with errors`);
});
