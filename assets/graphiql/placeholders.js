// Placeholders in variables, so that the examples run as they stand although ids are only known after creation.

/** Placeholder by the prefix of the ids it stands for, and the example that makes such an id. */
const KINDS = {
  col: { name: "lastCollection", example: "CreateCollection" },
  run: { name: "lastRun", example: "IngestDocuments" },
  doc: { name: "lastDocument", example: "IngestDocuments" },
  job: { name: "lastJob", example: "IngestDocuments" },
};

const STORAGE_KEY = "vectorforge:lastIds";

/** Ids by placeholder name. Kept for the browser tab only: ids of another day may be of another database. */
export class LastIds {
  #ids = JSON.parse(sessionStorage.getItem(STORAGE_KEY) ?? "{}");
  #listeners = new Set();

  /** The ids now, a new object after each change. */
  snapshot = () => this.#ids;

  subscribe = (listener) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /**
   * Remembers the ids in a response. What a mutation answers replaces what is known; a query only adds what is not,
   * so that listing collections does not change which one was made last.
   */
  remember(response, isMutation) {
    const found = idsIn(response?.data);
    this.#ids = isMutation ? { ...this.#ids, ...found } : { ...found, ...this.#ids };
    sessionStorage.setItem(STORAGE_KEY, JSON.stringify(this.#ids));
    this.#listeners.forEach((listener) => listener());
  }

  /** `value` with the placeholders in its strings filled in. Throws an Error that tells what to run for an unknown id. */
  fill(value) {
    if (typeof value === "string") return value.replace(/\{\{(\w+)\}\}/g, (whole, name) => this.#valueOf(name) ?? whole);
    if (Array.isArray(value)) return value.map((item) => this.fill(item));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, this.fill(item)]));
  }

  /** Undefined for a name that is no placeholder of ours. */
  #valueOf(name) {
    if (name === "random") return Math.random().toString(36).slice(2, 8);
    if (name in this.#ids) return this.#ids[name];
    const kind = Object.values(KINDS).find((kind) => kind.name === name);
    if (kind) throw new Error(`{{${name}}} is not known yet: run the tab ${kind.example} first`);
  }
}

/** The first id of each kind, by placeholder name, anywhere in `data`. */
function idsIn(data, found = {}) {
  if (data === null || typeof data !== "object") return found;
  const kind = typeof data.id === "string" ? KINDS[data.id.split("_")[0]] : undefined;
  if (kind) found[kind.name] ??= data.id;
  Object.values(data).forEach((value) => idsIn(value, found));
  return found;
}
