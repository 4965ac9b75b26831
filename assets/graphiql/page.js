// Draws GraphiQL with the examples as its tabs. React, ReactDOM and GraphiQL are globals of the UMD files.
import { LastIds } from "./placeholders.js";

/** Variables of the examples, by operation name; see placeholders.js for what stands in braces. */
const VARIABLES = {
  CreateCollection: { name: "example-{{random}}" },
  IngestDocuments: { collectionId: "{{lastCollection}}" },
  IngestProgress: { runId: "{{lastRun}}" },
  Search: { collectionId: "{{lastCollection}}" },
  NodeLookup: { id: "{{lastDocument}}" },
  Job: { id: "{{lastJob}}" },
};

const lastIds = new LastIds();
const h = React.createElement;

/** The tabs of the examples file, in its order. */
function tabsOf(examples) {
  const [, ...tabs] = examples.split(/^(?=# \d+\. )/m);
  return tabs.map((query) => {
    const [, name] = query.match(/^(?:query|mutation|subscription) (\w+)/m);
    const variables = VARIABLES[name];
    return { query: query.trim(), variables: variables && JSON.stringify(variables, null, 2) };
  });
}

/**
 * Query and variables of the tab that was open at the last visit. GraphiQL would take them from entries of their own,
 * saved at other moments than the tabs, and add one more tab at a reload where the two differ.
 */
function openTab() {
  const { tabs, activeTabIndex } = JSON.parse(localStorage.getItem("graphiql:tabState") || "{}");
  const tab = tabs?.[activeTabIndex];
  return tab && { query: tab.query ?? "", variables: tab.variables ?? "" };
}

function isMutation({ operationName }, documentAST) {
  const operations = documentAST?.definitions.filter((definition) => definition.kind === "OperationDefinition") ?? [];
  const chosen = operations.find((operation) => operation.name?.value === operationName) ?? operations[0];
  return chosen?.operation === "mutation";
}

/** A fetcher for the GraphQL endpoint beside this page that fills placeholders in and remembers ids. */
function placeholderFetcher() {
  const endpoint = new URL("graphql", location.href);
  const socket = new URL(endpoint);
  socket.protocol = endpoint.protocol.replace("http", "ws");
  const send = GraphiQL.createFetcher({
    url: endpoint.href,
    subscriptionUrl: socket.href,
    enableIncrementalDelivery: false, // the server has no @defer and no @stream
  });

  return async (params, options) => {
    let variables;
    try {
      variables = lastIds.fill(params.variables);
    } catch (error) {
      return { errors: [{ message: error.message }] };
    }
    const result = await send({ ...params, variables }, options);
    // A subscription's stream passes through untouched: wrapped in a generator it could not be stopped while it waits.
    if (Symbol.asyncIterator in result) return result;
    lastIds.remember(result, isMutation(params, options?.documentAST));
    return result;
  };
}

/** Under the response: what the placeholders stand for now. */
function KnownIds() {
  const ids = Object.entries(React.useSyncExternalStore(lastIds.subscribe, lastIds.snapshot)).sort();
  const rows = ids.map(([name, id]) => [h("dt", { key: name }, `{{${name}}}`), h("dd", { key: id }, id)]);
  return rows.length > 0 && h("dl", { className: "known-ids" }, rows);
}

const response = await fetch(new URL("examples.graphql", import.meta.url));
const examples = tabsOf(await response.text());
const page = h(
  GraphiQL,
  {
    fetcher: placeholderFetcher(),
    defaultTabs: examples,
    defaultEditorToolsVisibility: "variables",
    ...(openTab() ?? examples[0]), // without it the first tab would start without its variables
  },
  h(GraphiQL.Logo, null, "VectorForge"),
  h(GraphiQL.Footer, null, h(KnownIds)),
);
ReactDOM.createRoot(document.getElementById("graphiql")).render(page);
