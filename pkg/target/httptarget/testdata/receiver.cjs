// An HTTP server that verifies each request: at /v1/<n> with the official library and the n-th
// secret, at /v1a with Node's own ed25519. It answers 204, or 400 with the reason, and ends with
// its standard input.
const crypto = require("crypto")
const http = require("http")
const [dir, publicKey, ...secrets] = process.argv.slice(2)
const { Webhook } = require("module").createRequire(dir + "/")("standardwebhooks")

function verifyV1a(body, headers) {
  const x = Buffer.from(publicKey.slice("whpk_".length), "base64").toString("base64url")
  const key = crypto.createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" })
  const at = headers["webhook-timestamp"]
  const signed = Buffer.concat([Buffer.from(`${headers["webhook-id"]}.${at}.`), body])
  if (!(Math.abs(Date.now() / 1000 - Number(at)) <= 300)) throw new Error("timestamp")
  for (const s of (headers["webhook-signature"] ?? "").split(" ")) {
    const [version, signature] = s.split(",")
    if (version === "v1a" && crypto.verify(null, signed, key, Buffer.from(signature, "base64"))) return
  }
  throw new Error("no signature matches")
}

const server = http.createServer((request, response) => {
  const chunks = []
  request.on("data", (chunk) => chunks.push(chunk))
  request.on("end", () => {
    const body = Buffer.concat(chunks)
    try {
      const [, kind, n] = request.url.split("/")
      if (kind === "v1a") verifyV1a(body, request.headers)
      else new Webhook(secrets[Number(n)]).verify(body, request.headers)
      response.writeHead(204).end()
    } catch (e) {
      response.writeHead(400).end(String(e.message))
    }
  })
})
server.listen(0, "127.0.0.1", () => console.log(server.address().port))
process.stdin.on("end", () => process.exit()).resume()
