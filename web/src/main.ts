import { createPinia } from "pinia";
import { createApp } from "vue";
import App from "./App.vue";
import { i18n, loadMessages } from "./i18n";
import { router } from "./router";
import { followTheme } from "./session/theme";
import "./styles/tokens.css";
import "./styles/base.css";

followTheme();
await loadMessages();
const app = createApp(App).use(createPinia()).use(i18n).use(router);
await router.isReady().catch(() => undefined); // whether the first page has a frame of its own is known
app.mount("#app");
