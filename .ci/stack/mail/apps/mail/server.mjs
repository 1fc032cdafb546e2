// Says where the shop's mail would go.
import { createServer } from "node:http";
import { basename, resolve } from "node:path";
import dotenv from "dotenv";

const { PORT, MAIL_FROM } = dotenv.config({ quiet: true }).parsed;
const mailbox = `${MAIL_FROM} in ${basename(resolve("../.."))}`;
const server = createServer((_, response) => response.end(mailbox));
server.listen(Number(PORT), "127.0.0.1", () => console.log("listening"));
