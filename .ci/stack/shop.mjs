// The worktrees of the shop: their env files, their servers, and their pages in one browser.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, join } from "node:path";

const { PATH, HOME, VOLUMES, PROGRAM, CHROMIUM } = process.env;
const environment = { PATH, HOME, VOLUMES, LANG: "C.UTF-8", NO_COLOR: "1" };
const patience = 60_000;

export const directory = process.cwd();
const modules = createRequire(join(directory, "node_modules/"));
const dotenv = modules("dotenv");
const { chromium } = modules("playwright-core");

const commands = {
  postgres: { from: ".", command: ["db/start"], ready: "ready to accept connections" },
  mail: { from: "apps/mail", command: [process.execPath, "server.mjs"], ready: "listening" },
  api: { from: "apps/api", command: [process.execPath, "server.mjs"], ready: "listening" },
  web: { from: "apps/web", command: [join(directory, "node_modules/.bin/vite")], ready: "ready in" },
};
const portLines = {
  postgres: [".env", "PGPORT"],
  mail: ["apps/mail/.env", "PORT"],
  api: ["apps/api/.env", "PORT"],
  web: ["apps/web/.env.local", "PORT"],
};

// Every server that was ever started.
export const servers = [];

class Server {
  constructor(worktree, service) {
    const { from, command, ready } = commands[service];
    this.service = service;
    this.name = worktree.name;
    this.host = worktree.host;
    this.port = worktree.ports()[service];
    this.log = "";
    this.process = spawn(command[0], command.slice(1), { cwd: join(worktree.path, from), env: environment });
    this.ended = once(this.process, "exit");
    this.ready = new Promise((resolve, reject) => {
      const fail = (why) => reject(new Error(`${service} of ${this.name} ${why}:\n${this.log}`));
      const timer = setTimeout(fail, patience, `was not ready after ${patience} ms`);
      this.ended.then(() => fail("ended"), fail).finally(() => clearTimeout(timer));
      const read = (bytes) => {
        this.log += bytes;
        if (!this.log.includes(ready)) return;
        clearTimeout(timer);
        resolve();
      };
      this.process.stdout.on("data", read);
      this.process.stderr.on("data", read);
    });
    servers.push(this);
  }

  get isRunning() {
    return this.process.exitCode === null && this.process.signalCode === null;
  }

  async stop() {
    // On SIGTERM, PostgreSQL waits until its clients disconnect.
    if (this.isRunning) this.process.kill("SIGINT");
    const timer = setTimeout(() => this.process.kill("SIGKILL"), patience);
    await this.ended;
    clearTimeout(timer);
  }
}

export class Worktree {
  // The main worktree has no label.
  constructor(path, label) {
    this.path = path;
    this.label = label;
    this.running = {};
    this.page = undefined;
    this.user = "";
    this.rows = [];
  }

  get name() {
    return basename(this.path);
  }

  get host() {
    return this.label ? `${this.label}.localhost` : "localhost";
  }

  get project() {
    return this.label ? `shop-${this.label}` : "shop";
  }

  run(command, ...words) {
    return execFileSync(command, words, { cwd: this.path, env: environment, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  }

  git(...words) {
    return this.run("git", ...words);
  }

  hook(...words) {
    return this.run(PROGRAM, ...words);
  }

  text(file) {
    return readFileSync(join(this.path, file), "utf8");
  }

  env(file) {
    return dotenv.parse(this.text(file));
  }

  // Read from the env files alone. A missing file has no ports.
  ports() {
    const ports = {};
    for (const [service, [file, name]] of Object.entries(portLines)) {
      try {
        ports[service] = Number(this.env(file)[name]);
      } catch (error) {
        if (error.code !== "ENOENT") throw error;
      }
    }
    return ports;
  }

  async start(...services) {
    for (const service of services) {
      this.running[service] = new Server(this, service);
      await this.running[service].ready;
    }
  }

  async stop(...services) {
    // An open page waits for Vite to come back, and would load from whatever answers on that port next.
    if (services.includes("web")) {
      await this.page?.close();
      this.page = undefined;
    }
    await Promise.all(services.map((service) => this.running[service].stop()));
    for (const service of services) delete this.running[service];
  }
}

export async function openBrowser() {
  const flags = "--disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync";
  const browser = await chromium.launch({ executablePath: CHROMIUM, chromiumSandbox: false, args: flags.split(" "), env: environment });
  return new Browser(browser, await browser.newContext());
}

// One person's browser: all pages share its cookies.
class Browser {
  constructor(browser, context) {
    this.browser = browser;
    this.context = context;
  }

  async open(worktree) {
    worktree.page ??= await this.context.newPage();
    await worktree.page.goto(worktree.env("apps/api/.env").WEB_ORIGIN);
    await worktree.page.waitForSelector("body[data-answers='1']");
    return worktree.page;
  }

  async logInAndAdd(worktree, user, row) {
    const page = await this.open(worktree);
    await page.fill("#login input", user);
    await page.click("#login button");
    await page.waitForSelector("body[data-answers='2']");
    await page.fill("#add input", row);
    await page.click("#add button");
    await page.waitForSelector("body[data-answers='3']");
    worktree.user = user;
    worktree.rows.push(`${row} by ${user}`);
  }

  async see(worktree) {
    const page = await this.open(worktree);
    return page.evaluate(() => {
      const texts = [...document.querySelectorAll("output")].map(({ id, textContent }) => [id, textContent]);
      return { ...Object.fromEntries(texts), rows: [...document.querySelectorAll("li")].map((item) => item.textContent) };
    });
  }

  async users() {
    const cookies = await this.context.cookies();
    return cookies.map(({ domain, value }) => `${value.split(".")[0]} at ${domain}`).sort();
  }

  async close() {
    await this.browser.close();
  }
}

// What must always hold for a worktree with running servers.
export async function checkIsApart(worktree, browser) {
  const { name, project, running, rows, user, ports } = worktree;
  for (const { service, port } of Object.values(running)) {
    assert.equal(worktree.ports()[service], port, `the port of ${service} in ${name} moved`);
  }
  const database = `${project.replaceAll("-", "_")} in ${project}-data`;
  const mail = running.mail ? `shop@example.com in ${name}` : "";
  assert.deepEqual(await browser.see(worktree), { user, page: name, api: name, database, mail, rows });
  assert.deepEqual(worktree.run("db/rows").trimEnd().split("\n"), [database, ...rows]);
}
