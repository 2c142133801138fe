// Browsers start no worker for a page that was opened from a disk: a hidden frame runs its script,
// so that the search works there, too. zensical would load such a script from another host.
if (location.protocol === "file:") {
  window.Worker = class {
    constructor(url) {
      this.frame = document.body.appendChild(document.createElement("iframe"));
      this.frame.hidden = true;
      this.frame.reply = (data) => this.onmessage?.({ data });
      this.loaded = new Promise((resolve) => { this.frame.loaded = resolve; });
      const page = this.frame.contentDocument;
      page.open();
      page.write(
        "<body><script>self.postMessage = (data) => frameElement.reply(data)</script>" +
          `<script src="${new URL(url, location)}" onload="frameElement.loaded()"></script>`,
      );
      page.close();
    }
    postMessage(data) {
      this.loaded.then(() => this.frame.contentWindow?.onmessage({ data }));
    }
    terminate() {
      this.frame.remove();
    }
  };
}
