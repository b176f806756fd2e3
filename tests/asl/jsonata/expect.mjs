// What JSONata 2.0.6, the version that AWS names, makes of corpus.json; writes expected.json.
//
// From the root of the repository, after a change of the corpus (read the difference):
//
//   npm install --prefix build/jsonata jsonata@2.0.6
//   NODE_PATH=build/jsonata/node_modules node tests/asl/jsonata/expect.mjs
//
// A row is {"value": …}, {"undefined": true}, {"error": CODE}, or where JSON has no word for the
// value {"function": true} or {"infinite": true} (also for NaN). What fails without a code has no
// place in the corpus: it is a fault of that program, and stops this one.

import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const jsonata = require("jsonata");
const version = require("jsonata/package.json").version;
if (version !== "2.0.6") throw new Error(`jsonata ${version} is not 2.0.6`);

const here = (name) => new URL(name, import.meta.url);
const corpus = JSON.parse(readFileSync(here("corpus.json"), "utf8"));

const RealDate = Date;
globalThis.Date = class extends RealDate {
  constructor(...parts) {
    super(...(parts.length ? parts : [corpus.now]));
  }
  static now() {
    return corpus.now;
  }
};

const isFunction = (value) =>
  typeof value === "function" || value?._jsonata_lambda || value?._jsonata_function;

function row(value, expression) {
  if (value === undefined) return { undefined: true };
  if (isFunction(value)) return { function: true };
  if (typeof value === "number" && !Number.isFinite(value)) return { infinite: true };
  refuseWhatJsonHasNot(value, expression);
  return { value };
}

function refuseWhatJsonHasNot(value, expression) {
  if (value === null || typeof value !== "object") return;
  for (const part of Array.isArray(value) ? value : Object.values(value)) {
    if (part === undefined || isFunction(part) || (typeof part === "number" && !isFinite(part))) {
      throw new Error(`${expression}: JSON has no word for a part of its value`);
    }
    refuseWhatJsonHasNot(part, expression);
  }
}

async function rowOf(expression) {
  const states = structuredClone(corpus.states);
  const bindings = { ...structuredClone(corpus.variables), states };
  let value;
  try {
    value = await jsonata(expression).evaluate(undefined, bindings);
  } catch (why) {
    if (!why.code) throw new Error(`${expression}: fails without a code: ${why}`);
    return { error: why.code };
  }
  return row(value, expression);
}

const groups = [];
for (const [group, expressions] of Object.entries(corpus.groups)) {
  const rows = [];
  for (const expression of expressions) {
    rows.push(`  ${JSON.stringify(expression)}: ${JSON.stringify(await rowOf(expression))}`);
  }
  groups.push(` ${JSON.stringify(group)}: {\n${rows.join(",\n")}\n }`);
}
writeFileSync(here("expected.json"), `{\n${groups.join(",\n")}\n}\n`);
