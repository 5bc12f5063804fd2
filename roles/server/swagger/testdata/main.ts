import createClient from "openapi-fetch";
import type { paths } from "./schema.js";

const client = createClient<paths>({ baseUrl: process.argv[2], headers: { authorization: `Bearer ${process.argv[3]}` } });

function taken<T>(what: string, answer: { data?: T; error?: unknown; response: Response }): T {
  if (answer.error !== undefined || answer.data === undefined) {
    throw new Error(`${what}: ${answer.response.status} ${JSON.stringify(answer.error)}`);
  }
  return answer.data;
}

const device = taken("register", await client.POST("/register/", {
  body: { "ip-address": "192.0.2.7", "public-key-rsa": "a key of TypeScript's", arch: "amd64", labels: { site: "berlin", stage: "test" } },
}));
const at = { path: { uuid: device.uuid } };
const body = { config: { "control-telemetry": { "sample-rate": 4 } } };

const tried = taken("dry run", await client.PUT("/targets/everyone/", { params: { query: { "dry-run": true } }, body }));
if (!("devices" in tried) || tried.changes[0].uuid !== device.uuid) throw new Error(`dry run: ${JSON.stringify(tried)}`);

const layer = taken("layer", await client.PUT("/targets/everyone/", { body }));
if (!("layer" in layer) || layer.layer !== "everyone") throw new Error(`layer: ${JSON.stringify(layer)}`);

const relabelled = taken("labels", await client.PATCH("/devices/{uuid}/labels/", { params: at, body: { "device.stage": null, site: "oslo" } }));
if ("device.stage" in relabelled.labels || relabelled.labels["device.site"] !== "berlin" || relabelled.labels.site !== "oslo") throw new Error(`labels: ${JSON.stringify(relabelled)}`);

const offer = taken("poll", await client.POST("/poll/", { body: { uuid: device.uuid, config: {} } }));
if (offer.revision !== relabelled.desired.revision) throw new Error(`offer: ${JSON.stringify(offer)}`);

const stale = await client.DELETE("/targets/everyone/", { params: { header: { "If-Match": '"99"' } } });
if (stale.response.status !== 412 || !stale.error?.detail.includes("If-Match")) throw new Error(`stale: ${JSON.stringify(stale.error)}`);

const list = taken("devices", await client.GET("/devices/", { params: { query: { selector: "device.site=berlin" } } }));
if (list.devices.length !== 1 || list.devices[0].uuid !== device.uuid) throw new Error(`devices: ${JSON.stringify(list)}`);
console.log("round trip done");
