// Asks the server, with a token where it wants one, and listens to what changes.

const $ = (id) => document.getElementById(id);
const KEPT = "nearmost-token";

/** Shows a dialog until it is closed; whether `done` was asked for, which may say no. */
export function show(dialog, done) {
  return new Promise((resolve) => {
    const form = dialog.querySelector("form");
    const close = form.querySelector("[value=close]");
    let well = false;
    const submit = async (event) => {
      event.preventDefault();
      well = await done();
      if (well) dialog.close();
    };
    const cancel = () => dialog.close();
    form.addEventListener("submit", submit);
    close.addEventListener("click", cancel);
    dialog.addEventListener("close", () => {
      form.removeEventListener("submit", submit);
      close.removeEventListener("click", cancel);
      resolve(well);
    }, { once: true });
    dialog.showModal();
  });
}

let asking = null;

function askForToken(refused) {
  const done = () => {
    sessionStorage.setItem(KEPT, $("token-is").value.trim());
    return true;
  };
  if (!asking) {
    $("token-is").value = "";
    $("token-said").textContent = refused ? "That token is not accepted." : "";
    asking = show($("token"), done).finally(() => { asking = null; });
  }
  return asking;
}

/** A response that is no refusal; else an error with the server's words. */
export async function ask(path, options = {}) {
  for (;;) {
    const token = sessionStorage.getItem(KEPT);
    const headers = { ...options.headers };
    if (token) headers.Authorization = `Bearer ${token}`;
    const response = await fetch(path, { ...options, headers, cache: "no-store" });
    if (response.ok) return response;
    if (response.status !== 401) throw new Error(await words(response));
    // Another request may have got one meanwhile.
    if (token === sessionStorage.getItem(KEPT) && !(await askForToken(token !== null))) {
      throw new Error("a token is needed");
    }
  }
}

async function words(response) {
  const text = await response.text();
  try {
    return JSON.parse(text).error || text;
  } catch {
    return text || `status ${response.status}`;
  }
}

/** The JSON at a path with these parameters. */
export async function get(path, parameters) {
  return (await ask(`${path}?${new URLSearchParams(parameters)}`)).json();
}

/** Tells the server something; its JSON. */
export async function post(path, what) {
  const headers = { "Content-Type": "application/json" };
  return (await ask(path, { method: "POST", headers, body: JSON.stringify(what) })).json();
}

/** A server that says nothing for so long is gone: it speaks every second. */
const SILENCE = 15_000;

/** Passes on each message, for ever; `lost` is told why there are none. */
export async function listen(path, take, lost) {
  let pause = 1000;
  for (;;) {
    try {
      await each(path, (message) => {
        pause = 1000;
        take(message);
      });
    } catch (error) {
      lost(error.message);
    }
    await new Promise((resolve) => setTimeout(resolve, pause));
    pause = Math.min(2 * pause, 30_000);
  }
}

async function each(path, take) {
  const stop = new AbortController();
  let timer = 0;
  const wait = () => {
    clearTimeout(timer);
    timer = setTimeout(() => stop.abort(new Error("the server is silent")), SILENCE);
  };
  try {
    const response = await ask(path, { signal: stop.signal });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      wait();
      const { done, value } = await reader.read();
      if (done) throw new Error("the server has ended the connection");
      const messages = (text + value).split("\n\n");
      text = messages.pop();
      for (const message of messages) take(JSON.parse(message.slice("data: ".length)));
    }
  } finally {
    clearTimeout(timer);
  }
}
