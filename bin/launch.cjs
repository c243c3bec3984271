'use strict';
// Starts a program of ours on a Node that can run it: the packaged one when the machine's is too old.
// A checkout runs the TypeScript as it is, an installed package its bundle.
const { spawn } = require('node:child_process');
const { existsSync } = require('node:fs');
const { constants } = require('node:os');
const { join } = require('node:path');

module.exports = function launch(name, source) {
  const root = join(__dirname, '..');
  const bundle = join(root, 'dist', `${name}.js`);
  const entry = existsSync(bundle) ? bundle : join(root, source);
  const [major, minor] = process.versions.node.split('.').map(Number);
  const packaged = join(root, 'node_modules', '.bin', 'node');
  const recent = major >= 26 || (major === 24 && minor >= 15) || (major === 22 && minor >= 22);
  if (!recent && !existsSync(packaged)) {
    console.error(
      `${name} needs Node 22.22, 24.15 or 26, this is ${process.version}; "npm ci" brings a fitting one`,
    );
    process.exit(78);
  }
  const program = recent ? process.execPath : packaged;
  const child = spawn(program, [entry, ...process.argv.slice(2)], { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal ?? 'SIGTERM']));
};
