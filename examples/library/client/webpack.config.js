const path = require("path");
const CssMinimizerPlugin = require("css-minimizer-webpack-plugin");
const MiniCssExtractPlugin = require("mini-css-extract-plugin");
const { WebpackManifestPlugin } = require("webpack-manifest-plugin");

// Where Django serves dist/ from: STATIC_URL and the prefix given in STATICFILES_DIRS.
const publicPath = "/static/client/";

// bin/post_compile names a folder that outlives the build, which makes the next build faster.
const cacheDirectory = process.env.WEBPACK_CACHE_DIR;

module.exports = {
  entry: { main: "./src/main.jsx" },
  output: {
    path: path.join(__dirname, "dist"),
    publicPath,
    filename: "[name].[contenthash:16].js",
    assetModuleFilename: "[name].[contenthash:16][ext]",
    clean: true,
  },
  resolve: { extensions: [".jsx", "..."] },
  module: {
    rules: [
      {
        test: /\.jsx$/,
        exclude: /node_modules/,
        use: {
          loader: "babel-loader",
          options: { presets: [["@babel/preset-react", { runtime: "automatic" }]] },
        },
      },
      { test: /\.css$/, use: [MiniCssExtractPlugin.loader, "css-loader"] },
      { test: /\.(svg|woff2)$/, type: "asset/resource" },
    ],
  },
  optimization: { minimizer: ["...", new CssMinimizerPlugin()] },
  plugins: [
    new MiniCssExtractPlugin({ filename: "[name].[contenthash:16].css" }),
    // Read by books/templatetags/client.py, which puts STATIC_URL in front of the names.
    new WebpackManifestPlugin({ fileName: "webpack-manifest.json", publicPath: "" }),
  ],
  cache: cacheDirectory
    ? { type: "filesystem", cacheDirectory, buildDependencies: { config: [__filename] } }
    : false,
  devtool: false,
  performance: { hints: false },
  stats: { all: false, assets: true, timings: true, errors: true, errorStack: false, warnings: true },
};
