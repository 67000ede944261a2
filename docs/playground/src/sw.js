// Offline: every file of the build is kept at the first visit, and served from there afterwards.
// A new build has another VERSION: the browser sees that this file changed, and fetches it whole.

const VERSION = "__VERSION__";
const FILES = __FILES__;

self.addEventListener("install", (event) => {
  const all = FILES.map((name) => new Request(name, { cache: "reload" }));
  event.waitUntil(caches.open(VERSION).then((cache) => cache.addAll(all)));
  self.skipWaiting();
});

self.addEventListener("activate", (event) => {
  const clean = async () => {
    const ours = (await caches.keys()).filter((name) => name.startsWith("archdsl-"));
    await Promise.all(ours.filter((name) => name !== VERSION).map((name) => caches.delete(name)));
    await self.clients.claim();
  };
  event.waitUntil(clean());
});

self.addEventListener("fetch", (event) => {
  if (event.request.method !== "GET") return;
  const find = async () => {
    const cache = await caches.open(VERSION);
    return (await cache.match(event.request, { ignoreSearch: true })) ?? fetch(event.request);
  };
  event.respondWith(find());
});
