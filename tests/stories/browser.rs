//! A person's browser: Chromium without a screen, told what to do over WebDriver.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use serde_json::{Value, json};

use crate::program::{Folder, Lines, eventually, other};
use crate::world::wait;

/// A page in a browser; all of it ends when dropped.
pub struct Browser {
    driver: Child,
    /// Where the session is.
    session: String,
    /// What belongs to it, which every process of it is told.
    folder: Folder,
}

impl Browser {
    /// A page of this size; none where no browser is installed.
    pub fn start(width: u32, height: u32) -> Option<Self> {
        let (chromium, driver) = (other("chromium")?, other("chromedriver")?);
        let folder = Folder::new();
        let mut driver = Command::new(driver)
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let line = Lines::of(driver.stdout.take().unwrap()).wait(&["started successfully on port"]);
        let port = line.rsplit("port ").next().unwrap().trim_end_matches('.');
        let mut browser = Self {
            driver,
            session: format!("http://127.0.0.1:{port}/session"),
            folder,
        };
        let data = browser.folder.path("data");
        let arguments = [
            "--headless=new".into(),
            // Tests run as root too.
            "--no-sandbox".into(),
            "--disable-gpu".into(),
            // Nothing is asked of anybody but the page.
            "--disable-background-networking".into(),
            "--no-first-run".into(),
            format!("--user-data-dir={}", data.display()),
            format!("--window-size={width},{height}"),
        ];
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            // Tests make their own certificates.
            "acceptInsecureCerts": true,
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": { "binary": chromium, "args": arguments },
        } } });
        let session = browser.tell("", &wanted);
        let session = session["sessionId"].as_str().unwrap().to_owned();
        browser.session = format!("{}/{session}", browser.session);
        // No window is as narrow as a phone.
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500 });
        let narrow = json!({ "cmd": "Emulation.setDeviceMetricsOverride", "params": size });
        browser.tell("/goog/cdp/execute", &narrow);
        Some(browser)
    }

    fn tell(&self, path: &str, what: &Value) -> Value {
        let url = format!("{}{path}", self.session);
        let (status, body) = wait(async {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let sent = client
                .post(url)
                .body(what.to_string())
                .send()
                .await
                .unwrap();
            (sent.status(), sent.text().await.unwrap())
        });
        let told: Value = serde_json::from_str(&body).unwrap();
        assert!(status.is_success(), "{path} {what}: {told}");
        told["value"].clone()
    }

    pub fn open(&self, url: &str) {
        self.tell("/url", &json!({ "url": url }));
    }

    /// What a script in the page returns.
    pub fn run(&self, script: &str) -> Value {
        self.tell("/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Waits until an expression in the page is true.
    pub fn until(&self, expression: &str) {
        eventually(expression, || {
            let is = self.run(&format!("return Boolean({expression})"));
            (is == true).then_some(())
        });
    }

    pub fn text(&self, selector: &str) -> String {
        let text = self.run(&format!(
            "return document.querySelector('{selector}').textContent"
        ));
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Clicks as a mouse does: only what can be seen, and is not covered.
    pub fn click(&self, selector: &str) {
        self.tell(&format!("{}/click", self.element(selector)), &json!({}));
    }

    /// Types over what is in a field.
    pub fn write(&self, selector: &str, text: &str) {
        let element = self.element(selector);
        self.tell(&format!("{element}/clear"), &json!({}));
        self.tell(&format!("{element}/value"), &json!({ "text": text }));
    }

    fn element(&self, selector: &str) -> String {
        let by = json!({ "using": "css selector", "value": selector });
        let found = self.tell("/element", &by);
        let id = found.as_object().unwrap().values().next().unwrap();
        format!("/element/{}", id.as_str().unwrap())
    }

    /// Presses a key, wherever the page has its attention.
    pub fn press(&self, key: &str) {
        let key = |kind: &str| json!({ "type": kind, "value": key });
        let keys =
            json!({ "type": "key", "id": "keyboard", "actions": [key("keyDown"), key("keyUp")] });
        self.tell("/actions", &json!({ "actions": [keys] }));
    }

    /// The errors and warnings on the console since this was asked last.
    pub fn complaints(&self) -> Vec<String> {
        let lines = self.tell("/se/log", &json!({ "type": "browser" }));
        let bad = |line: &&Value| ["SEVERE", "WARNING"].contains(&line["level"].as_str().unwrap());
        let lines = lines.as_array().unwrap().iter().filter(bad);
        lines.map(ToString::to_string).collect()
    }

    /// The processes of this browser: all are told its folder, or are children of one that is.
    fn processes(&self) -> Vec<u32> {
        let mark = self.folder.path("data").display().to_string();
        let all = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        let numbers = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let told = |pid: &u32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(&mark)
        };
        numbers.filter(told).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let session = self.session.clone();
        let _ = thread::spawn(move || {
            wait(async {
                let client = reqwest::Client::builder().no_proxy().build().unwrap();
                let _ = client.delete(session).send().await;
            });
        })
        .join();
        for pid in self.processes() {
            let _ = Command::new("kill")
                .args(["-KILL", &pid.to_string()])
                .status();
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// A loopback port that leads to a Unix socket, as a browser cannot open one. It ends with the process.
pub fn bridge(socket: &Path) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let socket = socket.to_owned();
    thread::spawn(move || {
        for page in listener.incoming().map_while(Result::ok) {
            let Ok(server) = UnixStream::connect(&socket) else {
                continue;
            };
            let (page2, server2) = (page.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || {
                pass(page, &server);
                let _ = server.shutdown(Shutdown::Both);
            });
            thread::spawn(move || {
                pass(server2, &page2);
                let _ = page2.shutdown(Shutdown::Both);
            });
        }
    });
    address
}

/// Passes octets on as they come, until either end is gone.
fn pass(mut from: impl Read, mut to: impl Write) {
    let mut some = vec![0; 65_536];
    while let Ok(n @ 1..) = from.read(&mut some) {
        if to.write_all(&some[..n]).is_err() {
            return;
        }
    }
}
